//! From a parsed TOML tree to typed tables, noting every mistake on the way.
//!
//! A derived serde reader stops at the first mistake; this one goes on, so that a person sees all at once, and it
//! knows its keys, so that documentation and suggestions can't fall behind. What a key holds is a type that is
//! [`Read`]: a word (`words.rs`), a list, or another table (`file.rs`, by [`table!`]).

use std::ops::Deref;

use toml::Spanned;
use toml::de::DeValue;

use super::mistake::{Code, Notes, Span};
use super::spelling::spelled;

pub(super) type Value<'i> = Spanned<DeValue<'i>>;

/// A value, and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) at: Span,
}

impl<T> Deref for At<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// Kind of all that [`table!`] declares.
pub(super) const TABLE: &str = "table";

/// What a key may hold.
pub(super) trait Read: Sized {
    /// Keys, where it is a table or a list of tables.
    const KEYS: &'static [Key] = &[];

    /// As the documentation's type column says it.
    fn kind() -> String;

    /// A good one, as it stands in a file.
    fn example() -> String;

    /// `None`: the mistake has been noted.
    fn read(value: &Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Self>;
}

/// A key of a table, as suggestions and documentation need it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: fn() -> String,
    pub(super) keys: &'static [Key],
}

/// Where we are in the tree, and what is wrong so far.
pub(super) struct Reader<'n, 't> {
    pub(super) notes: &'n mut Notes<'t>,
    /// Tables around the value being read; the root is the first.
    tables: Vec<Entered>,
    key: &'static str,
    /// Which element of a list, from 1.
    element: Option<usize>,
}

struct Entered {
    /// The key that it stands under.
    key: &'static str,
    /// How mistakes call it.
    object: String,
    keys: &'static [Key],
}

impl<'n, 't> Reader<'n, 't> {
    pub(super) fn new(notes: &'n mut Notes<'t>) -> Self {
        Self {
            notes,
            tables: Vec::new(),
            key: "",
            element: None,
        }
    }

    /// `network "blue", subnet "10.0.0.0/24"`.
    pub(super) fn object(&self) -> String {
        match self.tables.as_slice() {
            [] | [_] => "topology".to_owned(),
            [_, tables @ ..] => join(", ", tables.iter().map(|table| table.object.as_str())),
        }
    }

    pub(super) fn mistake(
        &mut self,
        code: Code,
        at: impl Into<Span>,
        why: impl Into<String>,
        fix: impl Into<String>,
    ) {
        let object = self.object();
        self.notes.mistake(code, at.into(), &object, why, fix);
    }

    /// Notes that the value is of no type that `T` is read from.
    pub(super) fn wrong_type<T: Read>(&mut self, value: &Value<'_>) {
        let why = format!("`{}` is {}", self.key, found(value));
        self.mistake(Code::WrongType, value.span(), why, expected::<T>());
    }

    /// Notes that the value is of the right type, and still none of `T`.
    pub(super) fn bad_value<T: Read>(&mut self, value: &Value<'_>, why: impl Into<String>) {
        let why = format!("`{}`: {}", self.key, why.into());
        self.mistake(Code::BadValue, value.span(), why, expected::<T>());
    }

    /// The text that a `T` is read from.
    pub(super) fn text<'v, T: Read>(&mut self, value: &'v Value<'_>) -> Option<&'v str> {
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.wrong_type::<T>(value);
        }
        text
    }

    /// Steps into a table of `T`, until [`Self::leave`]; `None` if it is none. Unknown keys are noted here.
    pub(super) fn enter<T: Read>(&mut self, value: &Value<'_>) -> Option<()> {
        let Some(table) = value.get_ref().as_table() else {
            self.wrong_type::<T>(value);
            return None;
        };
        self.tables.push(Entered {
            key: self.key,
            object: self.name_of(value),
            keys: T::KEYS,
        });
        let of_ours = |key: &str| T::KEYS.iter().any(|known| known.name == key);
        for (key, _) in table.iter().filter(|(key, _)| !of_ours(key.get_ref())) {
            let why = format!("there is no key `{}` here", key.get_ref());
            let fix = self.meant(key.get_ref(), T::KEYS);
            self.mistake(Code::UnknownKey, key.span(), why, fix);
        }
        Some(())
    }

    pub(super) fn leave(&mut self) {
        self.tables.pop();
    }

    /// The value of a key of the table that was entered.
    pub(super) fn key<T: Read>(
        &mut self,
        table: &Value<'_>,
        key: &'static str,
        required: bool,
    ) -> Option<At<T>> {
        let Some(value) = table.get_ref().get(key) else {
            if required {
                let fix = format!("add `{key} = {}`", T::example());
                let why = format!("`{key}` is missing");
                self.mistake(Code::MissingKey, table.span(), why, fix);
            }
            return None;
        };
        let outer = (self.key, self.element);
        (self.key, self.element) = (key, None);
        let read = At::read(value, self);
        (self.key, self.element) = outer;
        read
    }

    fn name_of(&self, table: &Value<'_>) -> String {
        let text = |key| {
            table
                .get_ref()
                .get(key)
                .and_then(|value| value.get_ref().as_str())
        };
        let name = ["name", "cidr", "address", "network"]
            .into_iter()
            .find_map(text);
        match (name, self.element) {
            (Some(name), _) => format!("{} {name:?}", self.key),
            (None, Some(element)) => format!("{} {element}", self.key),
            (None, None) => self.key.to_owned(),
        }
    }

    /// What to do about an unknown key: another spelling, another table, or what there is.
    fn meant(&self, wrong: &str, keys: &'static [Key]) -> String {
        let has = |keys: &[Key]| keys.iter().any(|key| key.name == wrong);
        if let Some(inner) = keys.iter().find(|key| has(key.keys)) {
            return format!("it is a key of `{}`: move it there", inner.name);
        }
        // In TOML a key belongs to the last header above it.
        let path = |depth: usize| join(".", self.tables[1..=depth].iter().map(|table| table.key));
        if let Some(outer) = self.tables.iter().rposition(|table| has(table.keys)) {
            let here = path(self.tables.len() - 1);
            let of = if outer == 0 {
                "the file itself".to_owned()
            } else {
                path(outer)
            };
            return format!("it is a key of {of}: move it above {here}");
        }
        match spelled(wrong, keys) {
            Some(key) => format!("did you mean `{}` ({})?", key.name, (key.kind)()),
            None => format!(
                "remove it, or use one of: {}",
                join(", ", keys.iter().map(|key| key.name))
            ),
        }
    }
}

fn found(value: &Value<'_>) -> &'static str {
    match value.get_ref() {
        DeValue::String(_) => "text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn expected<T: Read>() -> String {
    format!("expected {}, such as {}", T::kind(), T::example())
}

fn join<'a>(between: &str, words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(between)
}

impl<T: Read> Read for At<T> {
    const KEYS: &'static [Key] = T::KEYS;

    fn kind() -> String {
        T::kind()
    }

    fn example() -> String {
        T::example()
    }

    fn read(value: &Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Self> {
        let at = value.span().into();
        Some(Self {
            value: T::read(value, reader)?,
            at,
        })
    }
}

/// An element that can't be read is left out.
impl<T: Read> Read for Vec<T> {
    const KEYS: &'static [Key] = T::KEYS;

    fn kind() -> String {
        let kind = T::kind();
        match kind.as_str() {
            _ if kind.contains(" or ") => format!("list of: {kind}"),
            _ if kind.ends_with("ss") => format!("list of {kind}es"),
            _ => format!("list of {kind}s"),
        }
    }

    fn example() -> String {
        format!("[{}]", T::example())
    }

    fn read(value: &Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Self> {
        let list = value.get_ref().as_array();
        let are_tables =
            list.is_some_and(|list| list.iter().all(|value| value.get_ref().is_table()));
        if T::kind() == TABLE && !are_tables {
            let outer = reader.tables.iter().skip(1).map(|table| table.key);
            let path = join(".", outer.chain([reader.key]));
            let why = format!("`{}` is {}, no list of tables", reader.key, found(value));
            let fix = format!("write [[{path}]] with double brackets, once for each");
            reader.mistake(Code::WrongType, value.span(), why, fix);
            return None;
        }
        let Some(elements) = list else {
            reader.wrong_type::<Self>(value);
            return None;
        };
        let mut read = Self::with_capacity(elements.len());
        for (index, element) in elements.iter().enumerate() {
            reader.element = Some(index + 1);
            read.extend(T::read(element, reader));
        }
        reader.element = None;
        Some(read)
    }
}

/// Declares a table of the file: a struct with a field per key, each an `Option<At<..>>`, and how it is read.
/// A `required` key that is missing is noted; its field is `None` then.
macro_rules! table {
    ($(#[$doc:meta])* $table:ident {
        $($(#[$key_doc:meta])* $key:ident : $kind:ty $([$required:ident])?,)*
    }) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(super) struct $table {
            /// Its header.
            #[allow(dead_code)] // Of some tables only the keys are ever complained about.
            pub(super) at: Span,
            /// How mistakes call it.
            #[allow(dead_code)] // As above.
            pub(super) object: String,
            /// Keys that are there, but could not be read: nothing more is said about them.
            broken: Vec<&'static str>,
            $($(#[$key_doc])* pub(super) $key: Option<At<$kind>>,)*
        }

        impl Read for $table {
            const KEYS: &'static [Key] = &[$(Key {
                name: key_name(stringify!($key)),
                kind: <$kind as Read>::kind,
                keys: <$kind as Read>::KEYS,
            }),*];

            fn kind() -> String {
                $crate::topology::read::TABLE.to_owned()
            }

            fn example() -> String {
                let examples = [$((key_name(stringify!($key)), <$kind as Read>::example as fn() -> String)),*];
                let (key, example) = examples[0];
                format!("{{ {key} = {} }}", example())
            }

            fn read(value: &Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Self> {
                reader.enter::<Self>(value)?;
                $(let $key = reader.key(value, key_name(stringify!($key)), false $(|| stringify!($required) == "required")?);)*
                let absent = [$((key_name(stringify!($key)), $key.is_none())),*];
                let written = |key: &str| value.get_ref().get(key).is_some();
                let broken = absent.into_iter().filter(|(key, absent)| *absent && written(key)).map(|(key, _)| key);
                let read = Self { at: value.span().into(), object: reader.object(), broken: broken.collect(), $($key),* };
                reader.leave();
                Some(read)
            }
        }

        impl $table {
            /// The key was written, and was no such value, which has been noted.
            #[allow(dead_code)] // Not every table has keys of which that matters.
            pub(super) fn is_broken(&self, key: &str) -> bool {
                self.broken.contains(&key)
            }
        }
    };
}
pub(super) use table;

/// A field's name without the mark of a raw identifier.
pub(super) const fn key_name(field: &'static str) -> &'static str {
    match field.as_bytes() {
        [b'r', b'#', ..] => field.split_at(2).1,
        _ => field,
    }
}
