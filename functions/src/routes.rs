//! THE table: every function and the routes it answers.
//!
//! A binary names its own constant and so links its own handlers only; the local server, the
//! `OpenAPI` document and the tests walk [`ALL`].

use axum::Router;
use axum::routing::{MethodRouter, get, post, put};
use shared::app::App;
use shared::config::Need;

use crate::endpoints::{
    check, create_customer, get_customer, intake_submit, list_products, login, me, put_product, stripe_webhook, track,
};

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Public,
    /// Whoever holds the secret that signs the body.
    Signed,
    /// A signed-in user; one with a temporary password only if `temporary` says so.
    SignedIn {
        /// Whether a temporary password is enough.
        temporary: bool,
    },
    /// An administrator or an API key.
    Admin,
}

/// A row of the table.
pub struct Route {
    /// The method, in capitals.
    pub method: &'static str,
    /// The path, with `{parameters}`.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    handler: fn() -> MethodRouter<App>,
}

/// A function: one binary on Lambda.
pub struct Function {
    /// The name of the binary.
    pub name: &'static str,
    /// What it cannot start without.
    pub needs: &'static [Need],
    /// What it answers.
    pub routes: &'static [Route],
}

/// `POST /api/intake/submit`.
pub const INTAKE_SUBMIT: Function = Function {
    name: "intake-submit",
    needs: &[Need::JwtKeys],
    routes: &[Route {
        method: "POST",
        path: "/api/intake/submit",
        access: Access::Public,
        handler: || post(intake_submit::handle),
    }],
};

/// `POST /api/webhooks/stripe`.
pub const STRIPE_WEBHOOK: Function = Function {
    name: "stripe-webhook",
    needs: &[Need::WebhookSecrets],
    routes: &[Route {
        method: "POST",
        path: "/api/webhooks/stripe",
        access: Access::Signed,
        handler: || post(stripe_webhook::handle),
    }],
};

/// `POST /auth/login`.
pub const LOGIN: Function = Function {
    name: "login",
    needs: &[Need::JwtKeys],
    routes: &[Route { method: "POST", path: "/auth/login", access: Access::Public, handler: || post(login::handle) }],
};

/// `GET /auth/me`.
pub const ME: Function = Function {
    name: "me",
    needs: &[Need::JwtKeys],
    routes: &[Route {
        method: "GET",
        path: "/auth/me",
        access: Access::SignedIn { temporary: true },
        handler: || get(me::handle),
    }],
};

/// `POST /v1/customers` and its two older names.
pub const CREATE_CUSTOMER: Function = Function {
    name: "create-customer",
    needs: &[Need::JwtKeys],
    routes: &[
        Route {
            method: "POST",
            path: "/v1/customers",
            access: Access::Admin,
            handler: || post(create_customer::handle),
        },
        Route {
            method: "POST",
            path: "/phase0-v2/customers",
            access: Access::Admin,
            handler: || post(create_customer::handle_alias),
        },
        Route {
            method: "POST",
            path: "/phase0-v2/customers-with-subscription",
            access: Access::Admin,
            handler: || post(create_customer::handle_alias),
        },
    ],
};

/// `GET /v1/customers/{id}`.
pub const GET_CUSTOMER: Function = Function {
    name: "get-customer",
    needs: &[Need::JwtKeys],
    routes: &[Route {
        method: "GET",
        path: "/v1/customers/{id}",
        access: Access::Admin,
        handler: || get(get_customer::handle),
    }],
};

/// `PUT /v1/products/{id}`.
pub const PUT_PRODUCT: Function = Function {
    name: "put-product",
    needs: &[Need::JwtKeys],
    routes: &[Route {
        method: "PUT",
        path: "/v1/products/{id}",
        access: Access::Admin,
        handler: || put(put_product::handle),
    }],
};

/// `GET /v1/products`.
pub const LIST_PRODUCTS: Function = Function {
    name: "list-products",
    needs: &[Need::JwtKeys],
    routes: &[Route {
        method: "GET",
        path: "/v1/products",
        access: Access::Admin,
        handler: || get(list_products::handle),
    }],
};

/// `POST /v1/check`.
pub const CHECK: Function = Function {
    name: "check",
    needs: &[Need::JwtKeys],
    routes: &[Route { method: "POST", path: "/v1/check", access: Access::Admin, handler: || post(check::handle) }],
};

/// `POST /v1/track`.
pub const TRACK: Function = Function {
    name: "track",
    needs: &[Need::JwtKeys],
    routes: &[Route { method: "POST", path: "/v1/track", access: Access::Admin, handler: || post(track::handle) }],
};

/// The schedule that completes what lacks a reference, a login or a number.
pub const BACKFILL: Function = Function { name: "backfill", needs: &[], routes: &[] };

/// The stream of outbox items, which delivers messages.
pub const NOTIFY: Function =
    Function { name: "notify", needs: &[Need::JwtKeys, Need::PublicBaseUrl, Need::MailFrom], routes: &[] };

/// Every function.
pub const ALL: &[&Function] = &[
    &INTAKE_SUBMIT,
    &STRIPE_WEBHOOK,
    &LOGIN,
    &ME,
    &CREATE_CUSTOMER,
    &GET_CUSTOMER,
    &PUT_PRODUCT,
    &LIST_PRODUCTS,
    &CHECK,
    &TRACK,
    &BACKFILL,
    &NOTIFY,
];

/// The routes of `functions`.
pub fn router(functions: &[&Function]) -> Router<App> {
    let rows = functions.iter().flat_map(|function| function.routes);
    rows.fold(Router::new(), |router, row| router.route(row.path, (row.handler)()))
}
