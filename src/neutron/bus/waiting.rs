//! Calls of ours that wait for their answer.

use std::collections::HashMap;

use serde_json::Value;
use tokio::sync::oneshot;

use super::Failure;
use super::answer::Answer;

/// How a call ended, other than by its time.
#[derive(Debug)]
pub(super) enum End {
    Answered(Result<Value, Failure>),
    /// The queue that it would have come to is gone.
    Lost,
}

/// By id. Who waits takes itself out, however its waiting ends.
#[derive(Debug, Default)]
pub(super) struct Waiting(HashMap<String, Call>);

#[derive(Debug)]
struct Call {
    answered: oneshot::Sender<End>,
    /// The broker has it.
    sent: bool,
    /// Old servers send the result first, and then an end without one.
    so_far: Value,
}

impl Waiting {
    pub(super) fn add(&mut self, id: &str) -> oneshot::Receiver<End> {
        let (answered, receiver) = oneshot::channel();
        let call = Call {
            answered,
            sent: false,
            so_far: Value::Null,
        };
        self.0.insert(id.to_owned(), call);
        receiver
    }

    /// From now on its answer can be lost. Before, it would be sent again.
    pub(super) fn sent(&mut self, id: &str) {
        if let Some(call) = self.0.get_mut(id) {
            call.sent = true;
        }
    }

    pub(super) fn remove(&mut self, id: &str) {
        self.0.remove(id);
    }

    pub(super) fn none_is_sent(&self) -> bool {
        !self.0.values().any(|call| call.sent)
    }

    /// False: nobody waits for this (any more).
    pub(super) fn answer(&mut self, answer: Answer) -> bool {
        let Some(mut call) = self.0.remove(&answer.id) else {
            return false;
        };
        let ended = match answer.outcome {
            Err(failure) => Some(Err(failure)),
            Ok(result) => {
                if !result.is_null() {
                    call.so_far = result;
                }
                answer.ending.then(|| Ok(std::mem::take(&mut call.so_far)))
            }
        };
        match ended {
            // Nobody hears it if the call's time ran out just now.
            Some(outcome) => drop(call.answered.send(End::Answered(outcome))),
            None => drop(self.0.insert(answer.id, call)),
        }
        true
    }

    /// No answer will come for any that was sent.
    pub(super) fn lose_sent(&mut self) {
        for (_, call) in self.0.extract_if(|_, call| call.sent) {
            drop(call.answered.send(End::Lost));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(id: &str, outcome: Result<Value, Failure>, ending: bool) -> Answer {
        Answer {
            id: id.to_owned(),
            outcome,
            ending,
        }
    }

    #[test]
    fn the_last_result_that_is_one_counts() {
        let failure = Failure {
            class: "C".to_owned(),
            module: "m".to_owned(),
            message: "t".to_owned(),
        };
        for (name, answers, want) in [
            ("in one", vec![(Ok(json!(1)), true)], Ok(json!(1))),
            (
                "in two",
                vec![(Ok(json!(1)), false), (Ok(Value::Null), true)],
                Ok(json!(1)),
            ),
            (
                "after signs of life",
                vec![
                    (Ok(Value::Null), false),
                    (Ok(Value::Null), false),
                    (Ok(json!(2)), true),
                ],
                Ok(json!(2)),
            ),
            ("null", vec![(Ok(Value::Null), true)], Ok(Value::Null)),
            (
                "a failure ends it",
                vec![(Ok(json!(1)), false), (Err(failure.clone()), true)],
                Err(failure),
            ),
        ] {
            let mut waiting = Waiting::default();
            let mut ended = waiting.add("i");
            for (outcome, ending) in answers {
                assert!(ended.try_recv().is_err(), "{name}: not yet");
                assert!(waiting.answer(answer("i", outcome, ending)), "{name}");
            }
            let Ok(End::Answered(got)) = ended.try_recv() else {
                panic!("{name}")
            };
            assert_eq!(got, want, "{name}");
            assert!(waiting.0.is_empty(), "{name}");
        }
    }

    #[test]
    fn who_does_not_wait_gets_nothing() {
        let mut waiting = Waiting::default();
        let gave_up = waiting.add("a");
        drop(gave_up);
        assert!(
            waiting.answer(answer("a", Ok(json!(1)), true)),
            "it was still known"
        );
        assert!(
            !waiting.answer(answer("a", Ok(json!(1)), true)),
            "a second answer"
        );
        assert!(!waiting.answer(answer("never", Ok(json!(1)), true)));
        let mut b = waiting.add("b");
        let mut c = waiting.add("c");
        waiting.sent("b");
        waiting.lose_sent();
        assert!(matches!(b.try_recv(), Ok(End::Lost)));
        assert!(c.try_recv().is_err(), "it was not sent yet");
        waiting.remove("c");
        assert!(waiting.0.is_empty());
    }
}
