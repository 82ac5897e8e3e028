//! What the demo prints: a story with its commands, and a table of checks at the end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use comfy_table::{ContentArrangement, Table, presets::UTF8_BORDERS_ONLY};

#[derive(Debug, Default)]
pub(crate) struct Transcript {
    titles: usize,
    /// What was to be seen, and what was: the good word, or the complaint.
    checks: Vec<(String, Result<String, String>)>,
}

impl Transcript {
    pub(crate) fn title(&mut self, text: &str) {
        self.titles += 1;
        println!("\n{}. {text}", self.titles);
    }

    /// A line of the story.
    pub(crate) fn tell(&self, text: &str) {
        println!("   {text}");
    }

    /// A command somewhere, and the beginning of what it said.
    pub(crate) fn shell(&self, place: &str, command: &str, said: &str) {
        println!("   {place}$ {command}");
        for line in said.lines().take(12) {
            println!("     {line:.108}");
        }
    }

    /// Acts, and notes how it came out: `act` gives a value and a good word, or panics with a complaint. The play goes on
    /// in any case.
    pub(crate) fn check<T>(
        &mut self,
        what: &str,
        act: impl FnOnce(&Self) -> (T, String),
    ) -> Option<T> {
        let outcome = catch_unwind(AssertUnwindSafe(|| act(self)));
        let (value, word) = match outcome {
            Ok((value, word)) => (Some(value), Ok(word)),
            Err(panic) => (None, Err(complaint(&*panic))),
        };
        if let Err(complaint) = &word {
            println!("   ✘ {what}: {complaint}");
        }
        self.checks.push((what.to_owned(), word));
        value
    }

    /// The table of checks. Whether all were good.
    pub(crate) fn end(&self, begin: Instant) -> bool {
        let mut table = Table::new();
        table
            .load_preset(UTF8_BORDERS_ONLY)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(118);
        for (what, word) in &self.checks {
            let mark = if word.is_ok() { "✔" } else { "✘" };
            let word = match word {
                Ok(word) => word,
                // The whole complaint stands above.
                Err(complaint) => complaint.lines().next().unwrap_or_default(),
            };
            table.add_row([mark, what, word]);
        }
        let good = self.checks.iter().filter(|(_, word)| word.is_ok()).count();
        println!("\n{table}");
        println!(
            "{good} of {} checks passed, in {:.0?}.",
            self.checks.len(),
            begin.elapsed()
        );
        good == self.checks.len()
    }
}

fn complaint(panic: &(dyn std::any::Any + Send)) -> String {
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    let text = owned.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("no reason given").to_owned()
}
