//! Netlink attributes for what no crate spells: nftables' elements and connection tracking. Type, length, value, padded to four bytes.

/// Bits of the type that say how the value is written, and are no part of it.
const TYPE: u16 = 0x3fff;
const NESTED: u16 = 0x8000;
const HEADER: usize = 4;

/// Reads attributes one after the other; ends at the first that is cut short.
#[derive(Clone)]
pub(crate) struct Attributes<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let &[a, b, c, d] = self.0.first_chunk::<HEADER>()?;
        let length = usize::from(u16::from_ne_bytes([a, b]));
        let value = self.0.get(HEADER..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([c, d]) & TYPE, value))
    }
}

impl<'a> Attributes<'a> {
    /// The value of the first attribute of this type.
    pub(crate) fn get(&self, kind: u16) -> Option<&'a [u8]> {
        self.clone()
            .find(|(found, _)| *found == kind)
            .map(|(_, value)| value)
    }

    /// The attributes inside of the first attribute of this type; none when it is not there.
    pub(crate) fn inside(&self, kind: u16) -> Attributes<'a> {
        Attributes(self.get(kind).unwrap_or_default())
    }

    pub(crate) fn be32(&self, kind: u16) -> Option<u32> {
        self.get(kind)?.try_into().ok().map(u32::from_be_bytes)
    }

    pub(crate) fn be64(&self, kind: u16) -> Option<u64> {
        self.get(kind)?.try_into().ok().map(u64::from_be_bytes)
    }

    /// A name that ends with a zero byte.
    pub(crate) fn text(&self, kind: u16) -> Option<&'a str> {
        std::str::from_utf8(self.get(kind)?.split(|byte| *byte == 0).next()?).ok()
    }
}

/// Writes an attribute. A value beyond the 64 KiB of the length field is a mistake of the caller, who bounds it.
pub(crate) fn put(to: &mut Vec<u8>, kind: u16, value: &[u8]) {
    to.extend(length(HEADER + value.len()));
    to.extend(kind.to_ne_bytes());
    to.extend(value);
    to.resize(to.len().next_multiple_of(4), 0);
}

/// Writes a name, with its closing zero byte.
pub(crate) fn put_text(to: &mut Vec<u8>, kind: u16, text: &str) {
    let mut value = text.as_bytes().to_vec();
    value.push(0);
    put(to, kind, &value);
}

/// Writes an attribute that holds the attributes that `inside` writes.
pub(crate) fn nest(to: &mut Vec<u8>, kind: u16, inside: impl FnOnce(&mut Vec<u8>)) {
    let start = to.len();
    to.extend([0; 2]);
    to.extend((kind | NESTED).to_ne_bytes());
    inside(to);
    let length = length(to.len() - start);
    to[start..start + 2].copy_from_slice(&length);
}

fn length(bytes: usize) -> [u8; 2] {
    debug_assert!(bytes <= usize::from(u16::MAX), "attribute too long");
    u16::try_from(bytes).unwrap_or(u16::MAX).to_ne_bytes()
}
