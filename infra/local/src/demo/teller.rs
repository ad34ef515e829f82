//! Prints each request, its answer and a verdict, and remembers what did not hold.

use axum::http::StatusCode;

use super::http::{Answer, Ask, Http};
use crate::LocalError;
use crate::terminal::say;

/// Longer bodies are cut.
const MAX_SHOWN_CHARS: usize = 400;

/// Whoever tells the story.
pub(super) struct Teller {
    http: Http,
    steps: u32,
    failed: Vec<String>,
}

impl Teller {
    pub(super) fn new(http: Http) -> Self {
        Self { http, steps: 0, failed: Vec::new() }
    }

    /// Asks without a word.
    pub(super) async fn ask(&self, ask: &Ask) -> Result<Answer, LocalError> {
        self.http.send(ask).await
    }

    /// Asks, and shows what was asked and answered.
    pub(super) async fn step(&mut self, title: &str, ask: &Ask) -> Result<Answer, LocalError> {
        let answer = self.http.send(ask).await?;
        self.show(title, ask, &answer);
        Ok(answer)
    }

    /// Shows what was asked and answered.
    pub(super) fn show(&mut self, title: &str, ask: &Ask, answer: &Answer) {
        self.steps += 1;
        say(format_args!("\n{}. {title}", self.steps));
        let body = ask.body.as_ref().map(|body| format!(" {}", short(&body.to_string()))).unwrap_or_default();
        say(format_args!("   > {} {}{body}", ask.method, ask.path));
        say(format_args!("   < {} {}", answer.status.as_u16(), short(&answer.body.to_string())));
    }

    /// Says whether what the last step proves held.
    pub(super) fn verdict(&mut self, held: bool, proves: &str) {
        if held {
            say(format_args!("   ok: {proves}"));
        } else {
            say(format_args!("   FAILED: {proves}"));
            self.failed.push(format!("step {}: {proves}", self.steps));
        }
    }

    /// Notes that something outside the steps went wrong.
    pub(super) fn fail(&mut self, what: &str) {
        say(format_args!("   FAILED: {what}"));
        self.failed.push(what.to_owned());
    }

    /// Says how it ended; answers whether everything held.
    pub(super) fn conclude(&self) -> bool {
        if self.failed.is_empty() {
            say(format_args!("\nEverything held, in {} steps.", self.steps));
        } else {
            say("\nThis did not hold:");
            for failed in &self.failed {
                say(format_args!("- {failed}"));
            }
        }
        self.failed.is_empty()
    }
}

impl Answer {
    /// Whether it has this status.
    pub(super) fn is(&self, status: StatusCode) -> bool {
        self.status == status
    }
}

fn short(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
