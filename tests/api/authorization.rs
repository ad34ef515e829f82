//! Who may call what: every route of the table with every kind of caller.

use axum::body::Body;
use functions::routes::{ALL, Access, Route};
use harness::app::START;
use harness::{Actor, Answer, TestApp};
use serde_json::{Value, json};
use shared::domain::user::{Role, TemporaryPassword, User};
use shared::ids::UserId;

use crate::accounts::{NEW_PASSWORD, api_key, change_user, revoked_key, with_user};

/// A kind of caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caller {
    Nobody,
    /// The customer whose record is acted on.
    CustomerA,
    /// Another customer.
    CustomerB,
    DeliveryBoy,
    Administrator,
    /// An administrator who was shut out, with a session from before.
    Disabled,
    /// A customer with a temporary password.
    Temporary,
    /// An administrator with a temporary password.
    TemporaryAdministrator,
    /// An administrator's session from before they logged out.
    OldToken,
    ApiKey,
    RevokedKey,
}

const CALLERS: [Caller; 11] = [
    Caller::Nobody,
    Caller::CustomerA,
    Caller::CustomerB,
    Caller::DeliveryBoy,
    Caller::Administrator,
    Caller::Disabled,
    Caller::Temporary,
    Caller::TemporaryAdministrator,
    Caller::OldToken,
    Caller::ApiKey,
    Caller::RevokedKey,
];

/// What a caller is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// Whatever the route itself answers.
    Passes,
    Refused(u16, &'static str),
}

const UNAUTHORIZED: Expected = Expected::Refused(401, "unauthorized");
const FORBIDDEN: Expected = Expected::Refused(403, "forbidden");
const CHANGE_FIRST: Expected = Expected::Refused(403, "password_change_required");

fn expected(access: Access, caller: Caller) -> Expected {
    match (access, caller) {
        (Access::Public | Access::Signed, _)
        | (
            Access::SignedIn { .. },
            Caller::CustomerA | Caller::CustomerB | Caller::DeliveryBoy | Caller::Administrator,
        )
        | (Access::SignedIn { temporary: true }, Caller::Temporary | Caller::TemporaryAdministrator)
        | (Access::Admin, Caller::Administrator | Caller::ApiKey) => Expected::Passes,
        (
            Access::SignedIn { .. } | Access::Admin,
            Caller::Nobody | Caller::Disabled | Caller::OldToken | Caller::RevokedKey,
        ) => UNAUTHORIZED,
        (Access::SignedIn { .. }, Caller::ApiKey)
        | (Access::Admin, Caller::CustomerA | Caller::CustomerB | Caller::DeliveryBoy) => FORBIDDEN,
        (Access::SignedIn { temporary: false } | Access::Admin, Caller::Temporary | Caller::TemporaryAdministrator) => {
            CHANGE_FIRST
        }
    }
}

/// What to send to a route, and the code with which it answers those who pass; `""` if it does
/// what it is asked. A route that is not here fails the matrix.
fn request(route: &Route) -> Option<(Value, &'static str)> {
    let request = match (route.method, route.path) {
        ("POST", "/api/intake/submit") => (json!({ "name": "Lea", "email": "lead@x.io" }), ""),
        ("POST", "/api/webhooks/stripe") => (json!({}), "invalid_signature"),
        ("POST", "/auth/register") => {
            (json!({ "name": "Eve", "email": "eve@x.io", "password": "short" }), "invalid_request")
        }
        ("POST", "/auth/login") => (json!({ "email": "unknown@x.io", "password": "wrong" }), "invalid_credentials"),
        ("POST", "/auth/forgot-password") => (json!({ "email": "unknown@x.io" }), ""),
        ("POST", "/auth/reset-password") => {
            (json!({ "token": "none of ours", "new_password": NEW_PASSWORD }), "invalid_token")
        }
        ("POST", "/auth/change-password") => {
            (json!({ "current_password": "wrong", "new_password": NEW_PASSWORD }), "invalid_credentials")
        }
        ("PATCH", "/auth/me") => (json!({ "name": "Somebody" }), ""),
        ("POST", "/auth/logout") => (json!({}), ""),
        ("POST", "/v1/customers" | "/phase0-v2/customers" | "/phase0-v2/customers-with-subscription") => {
            (json!({ "email": "a@x.io" }), "")
        }
        ("PATCH", "/v1/customers/{id}") => (json!({ "area": "North" }), ""),
        ("DELETE", "/v1/customers/{id}") => (Value::Null, "customer_not_found"),
        ("POST", "/v1/customers/{id}/credentials") => (json!({ "deliver": true }), ""),
        ("PUT", "/v1/products/{id}") | ("POST", "/v1/check" | "/v1/track" | "/admin/delivery-assignments") => {
            (json!({}), "invalid_request")
        }
        (
            "GET",
            "/auth/me"
            | "/v1/customers"
            | "/v1/customers/{id}"
            | "/v1/products"
            | "/admin/dashboard"
            | "/admin/link-audit"
            | "/admin/data-quality"
            | "/admin/billing/customers",
        ) => (Value::Null, ""),
        _ => return None,
    };
    Some(request)
}

/// The callers, and the record that is acted on.
struct Cast {
    app: TestApp,
    nobody: Actor,
    /// `internal_id` of customer A.
    record: String,
    users: Vec<(Caller, UserId)>,
    api_key: String,
    revoked_key: String,
}

impl Cast {
    async fn assemble() -> Self {
        let (app, nobody, admin) = TestApp::start().await;
        let a = admin.post("/v1/customers", json!({ "email": "a@x.io", "name": "Ana" })).await.expect(201);
        let mut users = vec![(Caller::CustomerA, id(&a))];
        for (caller, email) in [(Caller::CustomerB, "b@x.io"), (Caller::Temporary, "temporary@x.io")] {
            let customer = admin.post("/v1/customers", json!({ "email": email })).await.expect(201);
            users.push((caller, id(&customer)));
        }
        let staff = [
            (Caller::DeliveryBoy, Role::DeliveryBoy, "boy@x.io"),
            (Caller::Administrator, Role::Admin, "admin@x.io"),
            (Caller::Disabled, Role::Admin, "disabled@x.io"),
            (Caller::TemporaryAdministrator, Role::Admin, "new@x.io"),
            (Caller::OldToken, Role::Admin, "old@x.io"),
        ];
        for (caller, role, email) in staff {
            users.push((caller, with_user(&app, email, role, None).await.user_id));
        }
        for (caller, user) in &users {
            change_user(&app, *user, |user| prepare(*caller, user)).await;
        }
        let (api_key, revoked_key) = (api_key(&app).await, revoked_key(&app).await);
        Self { app, nobody, record: a.str("internal_id").to_owned(), users, api_key, revoked_key }
    }

    /// `caller` with a session of this moment, however often they have logged out.
    async fn actor(&self, caller: Caller) -> Actor {
        match caller {
            Caller::Nobody => return self.nobody.clone(),
            Caller::ApiKey => return self.nobody.with_token(&self.api_key),
            Caller::RevokedKey => return self.nobody.with_token(&self.revoked_key),
            _ => {}
        }
        let (_, id) = self.users.iter().find(|(played, _)| *played == caller).unwrap();
        let mut user = self.app.raw_store().user(*id).await.unwrap().unwrap();
        if caller == Caller::OldToken {
            user.token_version -= 1;
        }
        self.nobody.with_token(self.app.app.keys.sign_session(&user, START, 3_600))
    }

    async fn call(&self, route: &Route, body: &Value, caller: Caller) -> Answer {
        // Whoever may delete is shown nobody to delete, so that customer A is there for the next.
        let spared = route.method == "DELETE" && expected(route.access, caller) == Expected::Passes;
        let path = route.path.replace("{id}", if spared { "nobody-here" } else { &self.record });
        let request = self.actor(caller).await.request(route.method, &path);
        match body {
            Value::Null => self.nobody.send(request, Body::empty()).await,
            body => {
                let request = request.header("content-type", "application/json");
                self.nobody.send(request, Body::from(body.to_string())).await
            }
        }
    }
}

fn id(customer: &Answer) -> UserId {
    customer.str("user_id").parse().unwrap()
}

fn prepare(caller: Caller, user: &mut User) {
    match caller {
        Caller::Disabled => user.enabled = false,
        Caller::OldToken => user.token_version += 1,
        Caller::Temporary | Caller::TemporaryAdministrator => {
            user.temporary = Some(TemporaryPassword { expires_at: None, kid: None });
        }
        _ => {}
    }
}

/// What is wrong with `answer`, if anything is.
fn fault(answer: &Answer, expected: Expected, passing: &str) -> Option<String> {
    let told = (answer.status, answer.str("code"));
    let right = match expected {
        Expected::Refused(status, code) => {
            let challenged = answer.header("www-authenticate") == Some("Bearer");
            told == (status, code) && challenged == (status == 401)
        }
        Expected::Passes if passing.is_empty() => (200..300).contains(&answer.status),
        Expected::Passes => told.1 == passing,
    };
    (!right).then(|| format!("expected {expected:?} `{passing}`, got {} {}", answer.status, answer.text))
}

#[tokio::test]
async fn every_route_answers_every_kind_of_caller_as_its_access_says() {
    let cast = Cast::assemble().await;
    let (mut cells, mut faults) = (0, Vec::new());
    for route in ALL.iter().flat_map(|function| function.routes) {
        let name = format!("{} {}", route.method, route.path);
        let Some((body, passing)) = request(route) else {
            faults.push(format!("{name}: no expectations; say what to send in `request`"));
            continue;
        };
        for caller in CALLERS {
            let answer = cast.call(route, &body, caller).await;
            let fault = fault(&answer, expected(route.access, caller), passing);
            faults.extend(fault.map(|fault| format!("{name} as {caller:?}: {fault}")));
            cells += 1;
        }
    }
    println!("{cells} cells");
    assert!(faults.is_empty(), "{} cells are wrong:\n{}", faults.len(), faults.join("\n"));
    cast.app.world().await.assert_straight();
}

#[tokio::test]
async fn a_refusal_comes_before_anything_is_said_about_the_request() {
    let cast = Cast::assemble().await;
    let admin_routes = ALL.iter().flat_map(|function| function.routes).filter(|route| route.access == Access::Admin);
    for route in admin_routes {
        for caller in CALLERS {
            let Expected::Refused(status, code) = expected(route.access, caller) else { continue };
            let actor = cast.actor(caller).await;
            for id in ["nobody-here", "PL999", "%00"] {
                let request = actor.request(route.method, &route.path.replace("{id}", id));
                let answer = actor.send(request.header("content-type", "text/plain"), Body::from("{")).await;
                answer.refused(status, code);
            }
        }
    }
}

#[tokio::test]
async fn one_customer_sees_and_changes_nothing_of_another() {
    let cast = Cast::assemble().await;
    let b = cast.actor(Caller::CustomerB).await;
    let me = b.get(&format!("/auth/me?user_id={}&id={}", cast.users[0].1, cast.record)).await.expect(200);
    assert!(!me.text.contains(&cast.record) && me.str("email") == "b@x.io", "{}", me.text);
    let body = json!({ "name": "Bea", "user_id": cast.users[0].1.to_string(), "customer_v2_id": cast.record });
    b.patch("/auth/me", body).await.expect(200);
    let a = cast.actor(Caller::CustomerA).await.get("/auth/me").await.expect(200);
    assert_eq!((a.str("name"), a.str("email")), ("Ana", "a@x.io"));
}
