//! The syntax of a configuration file as oslo.config reads it (`oslo_config.iniparser`): text to entries with lines.
//!
//! The rules that surprise: a comment begins in the first column and nowhere else; an indented line continues the value
//! above it, whatever it looks like; one pair of quotes around the first line of a value is taken off.

/// One `name = value`. Without `Debug`: the value may be a secret.
pub(super) struct Entry {
    pub(super) group: String,
    pub(super) name: String,
    /// Continued lines joined by newlines.
    pub(super) value: String,
    /// Where it begins, from 1.
    pub(super) line: usize,
}

/// A line that is no part of such a file. It is not quoted: a broken line may be half a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake {
    pub(super) line: usize,
    pub(super) why: &'static str,
}

/// More are not told of one file: it is something else.
const MOST_MISTAKES: usize = 50;

/// Everything that can be read, and every line that can't.
pub(super) fn parse(text: &str) -> (Vec<Entry>, Vec<Mistake>) {
    let mut reading = Reading::default();
    for (number, line) in lines(text).enumerate() {
        if let Err(why) = reading.line(number + 1, line.trim_end_matches(space)) {
            let line = number + 1;
            reading.mistakes.push(Mistake { line, why });
            if reading.mistakes.len() == MOST_MISTAKES {
                break;
            }
        }
    }
    reading.end_value();
    (reading.entries, reading.mistakes)
}

#[derive(Default)]
struct Reading {
    group: Option<String>,
    /// The value that an indented line would continue.
    open: Option<Entry>,
    entries: Vec<Entry>,
    mistakes: Vec<Mistake>,
}

impl Reading {
    fn line(&mut self, number: usize, line: &str) -> Result<(), &'static str> {
        if line.starts_with([' ', '\t']) {
            let open = self.open.as_mut().ok_or(
                "an indented line continues the value above it, and there is none: an option begins in the first column",
            )?;
            open.value.push('\n');
            open.value.push_str(line.trim_start_matches(space));
            return Ok(());
        }
        self.end_value();
        match line.chars().next() {
            None | Some('#' | ';') => Ok(()),
            Some('[') => {
                self.group = Some(group(line)?);
                Ok(())
            }
            Some(_) => self.assignment(number, line),
        }
    }

    fn assignment(&mut self, number: usize, line: &str) -> Result<(), &'static str> {
        let at = line
            .find(['=', ':'])
            .ok_or("there is neither `=` nor `:`")?;
        let name = line[..at].trim_matches(space);
        if name.is_empty() {
            return Err("the option's name is missing before the `=` or `:`");
        }
        // Without a section it is nobody's, but an indented line still belongs to it.
        let group = self.group.clone();
        let known = group.as_ref().map(|_| ());
        self.open = Some(Entry {
            group: group.unwrap_or_default(),
            name: name.to_owned(),
            value: unquoted(line[at + 1..].trim_matches(space)).to_owned(),
            line: number,
        });
        known.ok_or("a section, as [DEFAULT], must come first")
    }

    fn end_value(&mut self) {
        let ended = self.open.take();
        self.entries
            .extend(ended.filter(|entry| !entry.group.is_empty()));
    }
}

fn group(line: &str) -> Result<String, &'static str> {
    let inside = line[1..]
        .strip_suffix(']')
        .ok_or("nothing may follow the section's `]`")?;
    if inside.is_empty() {
        return Err("the section's name is empty");
    }
    Ok(normal_group(inside))
}

/// Group names match without case; `DEFAULT` alone must be written so.
pub(super) fn normal_group(name: &str) -> String {
    if name == "DEFAULT" {
        name.to_owned()
    } else {
        name.to_lowercase()
    }
}

/// A lone quote is its own pair there: it is taken off, too.
fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(rest) = value.strip_prefix(quote)
            && value.ends_with(quote)
        {
            return rest.strip_suffix(quote).unwrap_or_default();
        }
    }
    value
}

/// Python ends lines at `\r` alone, too.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive('\n').flat_map(|line| {
        let line = line.strip_suffix('\n').unwrap_or(line);
        line.strip_suffix('\r').unwrap_or(line).split('\r')
    })
}

/// What Python strips.
pub(super) fn space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `group|name|value`, then the lines of mistakes as `!line`.
    fn read(text: &str) -> Vec<String> {
        let (entries, mistakes) = parse(text);
        let entries = entries.iter().map(|entry| {
            let Entry {
                group,
                name,
                value,
                line,
            } = entry;
            format!("{line} {group}|{name}|{value}")
        });
        let mistakes = mistakes.iter().map(|mistake| format!("!{}", mistake.line));
        entries.chain(mistakes).collect()
    }

    #[test]
    fn a_file_is_read_as_oslo_config_reads_it() {
        for (name, text, want) in [
            ("plain", "[a]\nx = 1", &["2 a|x|1"] as &[&str]),
            ("colon", "[a]\nx: 1", &["2 a|x|1"]),
            (
                "first of both separates",
                "[a]\nx = a:b=c\ny : a=b",
                &["2 a|x|a:b=c", "3 a|y|a=b"],
            ),
            ("no spaces needed", "[a]\nx=1", &["2 a|x|1"]),
            ("empty value", "[a]\nx =", &["2 a|x|"]),
            (
                "comments in the first column",
                "[a]\n# x = 1\n;y = 2\nz = 3",
                &["4 a|z|3"],
            ),
            (
                "no comments behind",
                "[a]\nx = 1 # one\ny = 1 ; one",
                &["2 a|x|1 # one", "3 a|y|1 ; one"],
            ),
            ("continued", "[a]\nx = 1,\n  2,\n\t3", &["2 a|x|1,\n2,\n3"]),
            (
                "continued by what looks like a comment",
                "[a]\nx = 1\n  # 2",
                &["2 a|x|1\n# 2"],
            ),
            (
                "continued by what looks like an option",
                "[a]\nx = 1\n  y = 2",
                &["2 a|x|1\ny = 2"],
            ),
            ("continued from nothing", "[a]\nx =\n  1", &["2 a|x|\n1"]),
            (
                "not after a blank line",
                "[a]\nx = 1\n\n  2",
                &["2 a|x|1", "!4"],
            ),
            (
                "a line of spaces is blank",
                "[a]\nx = 1\n   \n  2",
                &["2 a|x|1", "!4"],
            ),
            (
                "not after a comment",
                "[a]\nx = 1\n#\n  2",
                &["2 a|x|1", "!4"],
            ),
            ("not after a section", "[a]\n  x = 1", &["!2"]),
            ("double quotes", "[a]\nx = \" 1 \"", &["2 a|x| 1 "]),
            ("single quotes", "[a]\nx = '1'", &["2 a|x|1"]),
            ("one pair only", "[a]\nx = ''1''", &["2 a|x|'1'"]),
            ("quotes that differ stay", "[a]\nx = '1\"", &["2 a|x|'1\""]),
            ("quotes inside stay", "[a]\nx = a\"b\"", &["2 a|x|a\"b\""]),
            ("no escapes", "[a]\nx = \"a\\\"b\"", &["2 a|x|a\\\"b"]),
            ("a lone quote", "[a]\nx = \"", &["2 a|x|"]),
            (
                "quotes of the first line only",
                "[a]\nx = \"1\n  2\"",
                &["2 a|x|\"1\n2\""],
            ),
            (
                "sections merge",
                "[a]\nx = 1\n[b]\ny = 2\n[a]\nz = 3",
                &["2 a|x|1", "4 b|y|2", "6 a|z|3"],
            ),
            ("repeated", "[a]\nx = 1\nx = 2", &["2 a|x|1", "3 a|x|2"]),
            (
                "section names without case",
                "[AGENT]\nx = 1",
                &["2 agent|x|1"],
            ),
            (
                "but DEFAULT",
                "[DEFAULT]\nx = 1\n[Default]\nx = 2",
                &["2 DEFAULT|x|1", "4 default|x|2"],
            ),
            (
                "section names are not trimmed",
                "[ DEFAULT ]\nx = 1",
                &["2  default |x|1"],
            ),
            ("option names have case", "[a]\nX = 1", &["2 a|X|1"]),
            ("behind the bracket", "[a] # b\nx = 1", &["!1", "!2"]),
            ("no bracket", "[a\n", &["!1"]),
            ("no name", "[]\n", &["!1"]),
            ("no section", "x = 1\n[a]\ny = 2", &["3 a|y|2", "!1"]),
            (
                "no section, and continued",
                "x = 1\n  2\n[a]\ny = 2",
                &["4 a|y|2", "!1"],
            ),
            ("no separator", "[a]\nx\ny = 1", &["3 a|y|1", "!2"]),
            ("no key", "[a]\n= 1\n: 2", &["!2", "!3"]),
            (
                "every mistake",
                "x\n[\n  y\n[a]\nz",
                &["!1", "!2", "!3", "!5"],
            ),
            (
                "line ends of DOS and of old",
                "[a]\r\nx = 1\r\n\r\n[b]\ry = 2\r",
                &["2 a|x|1", "5 b|y|2"],
            ),
            ("spaces of Unicode", "[a]\nx =\u{a0}1\u{2003}", &["2 a|x|1"]),
            (
                "a mark of byte order is no space",
                "\u{feff}[a]\nx = 1",
                &["!1", "!2"],
            ),
            ("nothing", "", &[]),
        ] {
            assert_eq!(read(text), want, "{name}");
        }
    }

    #[test]
    fn what_is_no_such_file_is_not_told_line_by_line() {
        let (_, mistakes) = parse(&"nonsense\n".repeat(100_000));
        assert_eq!(mistakes.len(), MOST_MISTAKES);
    }
}
