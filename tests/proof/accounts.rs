//! Who was let in, and what must hold for whoever has an account.

use std::collections::{BTreeMap, BTreeSet};

use harness::world::text;
use harness::{Answer, TestApp, World};
use shared::domain::recovery::ResetTicket;
use shared::store::key::Key;
use shared::token::sha256_hex;

use crate::operations::{Op, PEOPLE, address, named, password};
use crate::{NEW_PASSWORD, PASSWORD};

/// What lets somebody in: a session, or a link that sets a password.
#[derive(Clone, Debug)]
pub(crate) struct Pass {
    /// The number of their address.
    pub(crate) name: u64,
    pub(crate) token: String,
    /// Whose it is.
    pub(crate) user: String,
    /// The password that they have, as far as they know.
    pub(crate) password: &'static str,
}

impl Pass {
    /// The one that they choose next.
    pub(crate) fn other_password(&self) -> &'static str {
        if self.password == PASSWORD { NEW_PASSWORD } else { PASSWORD }
    }
}

/// What was acknowledged to whoever has an account.
#[derive(Default)]
pub(crate) struct Accounts {
    /// The last session of each address.
    sessions: BTreeMap<u64, Pass>,
    /// The customer of each user, as an answer said.
    customers: BTreeMap<String, String>,
    /// The addresses for which somebody asked for a link.
    forgotten: BTreeSet<u64>,
    /// How many invitations an administrator asked for.
    invitations: usize,
}

impl Accounts {
    /// The last session of `person`, or of somebody else.
    pub(crate) fn session(&self, person: u64) -> Option<Pass> {
        let mut names = (0..PEOPLE).map(|n| (person + n) % PEOPLE);
        names.find_map(|name| self.sessions.get(&name)).cloned()
    }

    /// Takes note of a good answer; answers who signed in, and with which password.
    pub(crate) fn answered(&mut self, op: Op, pass: Option<&Pass>, answer: &Answer) -> Option<(String, &'static str)> {
        let (name, password) = match op {
            Op::Register(person) => (person, PASSWORD),
            Op::Login { person, new } => (named(person, pass), password(new)),
            Op::Password(person) => (named(person, pass), pass?.other_password()),
            Op::Forgot(person) => {
                self.forgotten.insert(named(person, pass));
                return None;
            }
            Op::Credentials(_) => {
                self.invitations += 1;
                return None;
            }
            _ => return None,
        };
        let (user, customer) = (answer.str("user_id").to_owned(), answer.str("customer_v2_id").to_owned());
        self.sessions.insert(name, Pass { name, token: answer.str("token").to_owned(), user: user.clone(), password });
        // Who is deleted while they sign in has none any more.
        if !customer.is_empty() {
            self.customers.insert(user.clone(), customer);
        }
        Some((user, password))
    }

    /// What was acknowledged and is not so.
    pub(crate) fn broken(&self, world: &World) -> Vec<String> {
        let mut broken = Vec::new();
        for (user, customer) in &self.customers {
            let (login, record) = (world.at(&format!("USER#{user}")), world.at(&format!("CUSTOMER#{customer}")));
            if login.is_some() != record.is_some() {
                broken
                    .push(format!("{user} was acknowledged for {customer}, and one of them is gone without the other"));
            }
        }
        for (kind, least) in [("password_reset", self.forgotten.len()), ("invitation", self.invitations)] {
            let found = world.messages(kind).len();
            if found < least {
                broken.push(format!("{least} messages ({kind}) were acknowledged, and there are {found}"));
            }
        }
        broken
    }
}

/// A link that still sets a password, and whose: of those sent to `person`, or else to somebody else.
pub(crate) async fn link(app: &TestApp, person: u64) -> Option<Pass> {
    let store = app.raw_store();
    for name in (0..PEOPLE).map(|n| (person + n) % PEOPLE) {
        for token in app.reset_tokens(&address(name)) {
            let ticket: Option<ResetTicket> = store.get(&Key::reset_ticket(&sha256_hex(&token))).await.unwrap();
            if let Some(ticket) = ticket {
                return Some(Pass { name, token, user: ticket.user_id.to_string(), password: NEW_PASSWORD });
            }
        }
    }
    None
}

/// Whether the user `id` has a password, or an invitation that is to give them one. An invitation that
/// was sent has given it.
pub(crate) fn may_enter(world: &World, id: &str) -> bool {
    let Some(user) = world.at(&format!("USER#{id}")) else { return false };
    let invited = world.messages("invitation").into_iter().any(|message| {
        text(message, "user_id") == id
            && message["epoch"] == user["credential_epoch"]
            && text(message, "state") != "sent"
    });
    user["password_hash"].is_string() || invited
}
