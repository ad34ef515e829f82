//! How people get in, stay in and leave, and what they change of themselves.

use axum::body::Body;
use harness::app::START;
use harness::world::text;
use harness::{Actor, Answer};
use serde_json::json;
use shared::contact::EmailAddress;

use super::{Actors, Case, customers, nothing, refused, registered, whole};
use crate::{NEW_PASSWORD, PASSWORD};

/// How long a session of these cases lasts: their clock stands still.
const SESSION_SECONDS: i64 = 600;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "register with an idempotency key",
        prepare: |a| Box::pin(nothing(a)),
        call: |a| {
            let body = json!({ "name": "Ana", "email": "a@x.io", "password": PASSWORD });
            Box::pin(a.nobody.post_with("/auth/register", body, &[("idempotency-key", "k")]))
        },
        check: |world| customers(world, 1, 1, 0),
    },
    Case {
        name: "register, address that is taken",
        prepare: |a| Box::pin(registered(a)),
        call: |a| Box::pin(async move { refused(registered(a).await, 409) }),
        check: |world| {
            customers(world, 1, 1, 0);
            assert_eq!(world.messages("already_customer").len(), 1);
        },
    },
    Case {
        name: "login",
        prepare: |a| Box::pin(registered(a)),
        call: |a| Box::pin(signed_in(a)),
        check: |world| customers(world, 1, 1, 0),
    },
    Case {
        name: "login, wrong password",
        prepare: |a| Box::pin(registered(a)),
        call: |a| Box::pin(async move { refused(a.nobody.login("a@x.io", NEW_PASSWORD).await, 401) }),
        check: |world| {
            // Whoever does not know whether a guess was charged charges it once more.
            let charged: Vec<_> = world.of("login_attempts").iter().map(|it| it["comparisons"].as_u64()).collect();
            assert!(matches!(charged[..], [Some(1 | 2)]), "charged as {charged:?}");
        },
    },
    Case {
        name: "own details",
        prepare: |a| Box::pin(registered(a)),
        call: |a| {
            Box::pin(async move {
                own(a).await.patch("/auth/me", json!({ "name": "Ana Ruiz", "phone": "9876543210" })).await
            })
        },
        check: |world| {
            customers(world, 1, 1, 0);
            let login = world.of("user").into_iter().find(|user| user["role"] == "customer").unwrap();
            for record in [login, world.of("customer")[0]] {
                assert_eq!((text(record, "name"), text(record, "phone")), ("Ana Ruiz", "+919876543210"));
            }
        },
    },
    Case {
        name: "change password",
        prepare: |a| Box::pin(registered(a)),
        call: |a| Box::pin(change_password(a)),
        check: |world| customers(world, 1, 1, 0),
    },
    Case {
        name: "logout",
        prepare: |a| Box::pin(registered(a)),
        call: |a| Box::pin(log_out(a)),
        check: |world| customers(world, 1, 1, 0),
    },
    Case {
        name: "forgot",
        prepare: |a| Box::pin(registered(a)),
        call: |a| Box::pin(forget(a, "a@x.io")),
        check: |world| assert_eq!(world.messages("password_reset").len(), 1),
    },
    Case {
        name: "forgot, by nobody",
        prepare: |a| Box::pin(nothing(a)),
        call: |a| Box::pin(forget(a, "nobody@x.io")),
        check: |world| assert_eq!(world.messages("password_reset").len(), 1),
    },
    Case {
        name: "reset",
        prepare: |a| Box::pin(forgotten(a)),
        call: |a| Box::pin(reset(a)),
        check: |world| assert!(world.of("reset_ticket").is_empty()),
    },
    Case {
        name: "issue credentials, invitation",
        prepare: |a| Box::pin(a.admin.post("/v1/customers", whole())),
        call: |a| Box::pin(a.admin.post("/v1/customers/acme/credentials", json!({}))),
        check: |world| {
            // A repeated request is a further invitation that voids the last.
            assert!((2..=3).contains(&world.messages("invitation").len()));
            customers(world, 1, 1, world.messages("invitation").len());
        },
    },
    Case {
        name: "issue credentials, hand-over",
        prepare: |a| Box::pin(a.admin.post("/v1/customers", whole())),
        call: |a| Box::pin(handed_over(a)),
        check: |world| customers(world, 1, 1, 1),
    },
];

/// Whoever registered, with a session as good as they could have now.
async fn own(actors: &Actors) -> Actor {
    let email = EmailAddress::parse("a@x.io").unwrap();
    let user = actors.app.raw_store().user_by_login(&email).await.unwrap().unwrap();
    actors.nobody.with_token(actors.app.app.keys.sign_session(&user, START, SESSION_SECONDS))
}

/// Signs in, and looks whether that lets anybody in.
async fn signed_in(actors: &Actors) -> Answer {
    let answer = actors.nobody.login("a@x.io", PASSWORD).await;
    if answer.status != 200 {
        return answer;
    }
    actors.nobody.with_token(answer.str("token")).get("/auth/me").await
}

/// The new password lets in, also where the call whose answer was lost has set it.
async fn change_password(actors: &Actors) -> Answer {
    let body = json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD });
    let answer = own(actors).await.post("/auth/change-password", body).await;
    if answer.status >= 500 { answer } else { actors.nobody.login("a@x.io", NEW_PASSWORD).await }
}

/// The session that ends lets nobody in any more.
async fn log_out(actors: &Actors) -> Answer {
    let own = own(actors).await;
    let answer = own.send(own.request("POST", "/auth/logout"), Body::empty()).await;
    if answer.status != 204 {
        return answer;
    }
    let after = own.get("/auth/me").await;
    assert_ne!(after.status, 200, "a session outlived its end");
    if after.status == 401 { answer } else { after }
}

/// The password that is handed over lets in.
async fn handed_over(actors: &Actors) -> Answer {
    let answer = actors.admin.post("/v1/customers/acme/credentials", json!({ "deliver": false })).await;
    if answer.status != 200 {
        return answer;
    }
    actors.nobody.login(answer.str("login"), answer.str("temporary_password")).await
}

/// Asks for a link for `email`.
pub(super) async fn forget(actors: &Actors, email: &str) -> Answer {
    actors.nobody.post("/auth/forgot-password", json!({ "email": email })).await
}

/// Somebody who has an account asked for a link.
pub(super) async fn asked(actors: &Actors) -> Answer {
    registered(actors).await;
    forget(actors, "a@x.io").await
}

/// And has it.
async fn forgotten(actors: &Actors) -> Answer {
    let answer = asked(actors).await;
    actors.app.deliver_mail().await;
    answer
}

async fn reset(actors: &Actors) -> Answer {
    let token = actors.app.reset_tokens("a@x.io").remove(0);
    let body = json!({ "token": token, "new_password": NEW_PASSWORD });
    let answer = actors.nobody.post("/auth/reset-password", body).await;
    // The link may have been used by the call whose answer was lost: its owner tries to sign in.
    if answer.status == 400 { actors.nobody.login("a@x.io", NEW_PASSWORD).await } else { answer }
}
