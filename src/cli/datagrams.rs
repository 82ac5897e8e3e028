//! A log of datagrams: to syslog (RFC 3164) or to systemd's journal (its native protocol). A line that the other side does
//! not take at once is lost: serving goes on.

use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    Syslog { facility: u8 },
    Journal,
}

#[derive(Debug)]
pub(super) struct Datagrams {
    socket: UnixDatagram,
    form: Form,
    program: String,
}

/// One event; sent when it is dropped.
#[derive(Debug)]
pub(super) struct Line<'d> {
    to: &'d Datagrams,
    severity: u8,
    text: Vec<u8>,
}

impl Form {
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Syslog { .. } => "/dev/log",
            Self::Journal => "/run/systemd/journal/socket",
        }
    }
}

impl Datagrams {
    pub(super) fn connect(form: Form, program: &str) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(form.path())?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            form,
            program: program.to_owned(),
        })
    }

    fn line(&self, severity: u8) -> Line<'_> {
        Line {
            to: self,
            severity,
            text: Vec::new(),
        }
    }
}

impl<'d> MakeWriter<'d> for Datagrams {
    type Writer = Line<'d>;

    fn make_writer(&'d self) -> Line<'d> {
        self.line(6)
    }

    fn make_writer_for(&'d self, meta: &Metadata<'_>) -> Line<'d> {
        self.line(match *meta.level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            Level::DEBUG | Level::TRACE => 7,
        })
    }
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        let text = self.text.trim_ascii_end();
        if text.is_empty() {
            return;
        }
        let Datagrams {
            socket,
            form,
            program,
        } = self.to;
        // A reader that is restarted or full: there is nobody to tell.
        let _ = socket.send(&datagram(*form, program, self.severity, text));
    }
}

fn datagram(form: Form, program: &str, severity: u8, text: &[u8]) -> Vec<u8> {
    let mut datagram = match form {
        Form::Syslog { facility } => {
            let priority = facility * 8 + severity;
            format!("<{priority}>{program}[{}]: ", std::process::id()).into_bytes()
        }
        // A text with line ends goes with its length.
        Form::Journal => {
            let mut fields =
                format!("SYSLOG_IDENTIFIER={program}\nPRIORITY={severity}\nMESSAGE\n").into_bytes();
            fields.extend((text.len() as u64).to_le_bytes());
            fields
        }
    };
    datagram.extend(text);
    datagram.push(b'\n');
    datagram
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_as_their_readers_expect_them() {
        let pid = std::process::id();
        let syslog = datagram(Form::Syslog { facility: 3 }, "warren", 4, b"x");
        assert_eq!(
            String::from_utf8(syslog).as_deref(),
            Ok(&*format!("<28>warren[{pid}]: x\n"))
        );
        let journal = datagram(Form::Journal, "warren", 6, b"a\nb");
        assert_eq!(
            journal,
            b"SYSLOG_IDENTIFIER=warren\nPRIORITY=6\nMESSAGE\n\x03\0\0\0\0\0\0\0a\nb\n"
        );
    }
}
