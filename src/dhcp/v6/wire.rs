//! Options as they stand in a packet (section 21.1): code, length, value.

/// The options in these bytes, up to the first that runs over their end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Options<'a>(pub(super) &'a [u8]);

impl<'a> Options<'a> {
    /// The first of this code.
    pub(super) fn first(self, code: u16) -> Option<&'a [u8]> {
        let mut all = self;
        all.find(|(found, _)| *found == code)
            .map(|(_, value)| value)
    }

    /// Nothing runs over the end.
    pub(super) fn are_whole(mut self) -> bool {
        self.by_ref().for_each(drop);
        self.0.is_empty()
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let [a, b, c, d, rest @ ..] = self.0 else {
            return None;
        };
        let length = u16::from_be_bytes([*c, *d]);
        let (value, rest) = rest.split_at_checked(length.into())?;
        self.0 = rest;
        Some((u16::from_be_bytes([*a, *b]), value))
    }
}

/// Appends one option, its value written by `value`.
pub(super) fn put(out: &mut Vec<u8>, code: u16, value: impl FnOnce(&mut Vec<u8>)) {
    out.extend(code.to_be_bytes());
    let at = out.len();
    out.extend([0, 0]);
    value(out);
    // A message is bounded far below what a length can say.
    let length = u16::try_from(out.len() - at - 2).unwrap_or(u16::MAX);
    out[at..at + 2].copy_from_slice(&length.to_be_bytes());
}
