//! THE table: every function and the routes it answers.
//!
//! A binary names its own constant and so links its own handlers only; the local server, the
//! `OpenAPI` document and the tests walk [`ALL`].

use axum::Router;
use axum::routing::{MethodRouter, delete, get, patch, post, put};
use shared::app::App;
use shared::config::Need;

use crate::endpoints::{
    assign_delivery, billing_customers, change_password, check, create_customer, dashboard, data_quality,
    delete_customer, forgot_password, get_customer, intake_submit, issue_credentials, link_audit, list_customers,
    list_products, login, logout, me, put_product, register, reset_password, stripe_webhook, track, update_customer,
    update_me,
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
    needs: &[Need::JwtKeys, Need::CheckoutBaseUrl],
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

/// `POST /auth/register`.
pub const REGISTER: Function = Function {
    name: "register",
    needs: &[Need::JwtKeys],
    routes: &[Route {
        method: "POST",
        path: "/auth/register",
        access: Access::Public,
        handler: || post(register::handle),
    }],
};

/// `POST /auth/forgot-password`.
pub const FORGOT_PASSWORD: Function = Function {
    name: "forgot-password",
    needs: &[Need::JwtKeys],
    routes: &[Route {
        method: "POST",
        path: "/auth/forgot-password",
        access: Access::Public,
        handler: || post(forgot_password::handle),
    }],
};

/// `POST /auth/reset-password`.
pub const RESET_PASSWORD: Function = Function {
    name: "reset-password",
    needs: &[Need::JwtKeys],
    routes: &[Route {
        method: "POST",
        path: "/auth/reset-password",
        access: Access::Public,
        handler: || post(reset_password::handle),
    }],
};

/// `POST /auth/change-password`.
pub const CHANGE_PASSWORD: Function = Function {
    name: "change-password",
    needs: &[Need::JwtKeys],
    routes: &[Route {
        method: "POST",
        path: "/auth/change-password",
        access: Access::SignedIn { temporary: true },
        handler: || post(change_password::handle),
    }],
};

/// `POST /auth/logout`.
pub const LOGOUT: Function = Function {
    name: "logout",
    needs: &[Need::JwtKeys],
    routes: &[Route {
        method: "POST",
        path: "/auth/logout",
        access: Access::SignedIn { temporary: true },
        handler: || post(logout::handle),
    }],
};

/// `PATCH /auth/me`.
pub const UPDATE_ME: Function = Function {
    name: "update-me",
    needs: &[Need::JwtKeys],
    routes: &[Route {
        method: "PATCH",
        path: "/auth/me",
        access: Access::SignedIn { temporary: false },
        handler: || patch(update_me::handle),
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
            handler: || post(create_customer::handle),
        },
        Route {
            method: "POST",
            path: "/phase0-v2/customers-with-subscription",
            access: Access::Admin,
            handler: || post(create_customer::handle),
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

/// `GET /v1/customers`.
pub const LIST_CUSTOMERS: Function = Function {
    name: "list-customers",
    needs: &[Need::JwtKeys],
    routes: &[Route {
        method: "GET",
        path: "/v1/customers",
        access: Access::Admin,
        handler: || get(list_customers::handle),
    }],
};

/// `PATCH /v1/customers/{id}`.
pub const UPDATE_CUSTOMER: Function = Function {
    name: "update-customer",
    needs: &[Need::JwtKeys],
    routes: &[Route {
        method: "PATCH",
        path: "/v1/customers/{id}",
        access: Access::Admin,
        handler: || patch(update_customer::handle),
    }],
};

/// `DELETE /v1/customers/{id}`.
pub const DELETE_CUSTOMER: Function = Function {
    name: "delete-customer",
    needs: &[Need::JwtKeys],
    routes: &[Route {
        method: "DELETE",
        path: "/v1/customers/{id}",
        access: Access::Admin,
        handler: || delete(delete_customer::handle),
    }],
};

/// `POST /v1/customers/{id}/credentials`.
pub const ISSUE_CREDENTIALS: Function = Function {
    name: "issue-credentials",
    needs: &[Need::JwtKeys],
    routes: &[Route {
        method: "POST",
        path: "/v1/customers/{id}/credentials",
        access: Access::Admin,
        handler: || post(issue_credentials::handle),
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

/// `GET /admin/dashboard`.
pub const DASHBOARD: Function = Function {
    name: "dashboard",
    needs: &[Need::JwtKeys],
    routes: &[Route {
        method: "GET",
        path: "/admin/dashboard",
        access: Access::Admin,
        handler: || get(dashboard::handle),
    }],
};

/// `GET /admin/link-audit`.
pub const LINK_AUDIT: Function = Function {
    name: "link-audit",
    needs: &[Need::JwtKeys],
    routes: &[Route {
        method: "GET",
        path: "/admin/link-audit",
        access: Access::Admin,
        handler: || get(link_audit::handle),
    }],
};

/// `GET /admin/data-quality`.
pub const DATA_QUALITY: Function = Function {
    name: "data-quality",
    needs: &[Need::JwtKeys],
    routes: &[Route {
        method: "GET",
        path: "/admin/data-quality",
        access: Access::Admin,
        handler: || get(data_quality::handle),
    }],
};

/// `GET /admin/billing/customers`.
pub const BILLING_CUSTOMERS: Function = Function {
    name: "billing-customers",
    needs: &[Need::JwtKeys],
    routes: &[Route {
        method: "GET",
        path: "/admin/billing/customers",
        access: Access::Admin,
        handler: || get(billing_customers::handle),
    }],
};

/// `POST /admin/delivery-assignments`.
pub const ASSIGN_DELIVERY: Function = Function {
    name: "assign-delivery",
    needs: &[Need::JwtKeys],
    routes: &[Route {
        method: "POST",
        path: "/admin/delivery-assignments",
        access: Access::Admin,
        handler: || post(assign_delivery::handle),
    }],
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
    &REGISTER,
    &FORGOT_PASSWORD,
    &RESET_PASSWORD,
    &CHANGE_PASSWORD,
    &LOGOUT,
    &UPDATE_ME,
    &CREATE_CUSTOMER,
    &GET_CUSTOMER,
    &LIST_CUSTOMERS,
    &UPDATE_CUSTOMER,
    &DELETE_CUSTOMER,
    &ISSUE_CREDENTIALS,
    &PUT_PRODUCT,
    &LIST_PRODUCTS,
    &CHECK,
    &TRACK,
    &DASHBOARD,
    &LINK_AUDIT,
    &DATA_QUALITY,
    &BILLING_CUSTOMERS,
    &ASSIGN_DELIVERY,
    &BACKFILL,
    &NOTIFY,
];

/// The routes of `functions`.
pub fn router(functions: &[&Function]) -> Router<App> {
    let rows = functions.iter().flat_map(|function| function.routes);
    rows.fold(Router::new(), |router, row| router.route(row.path, (row.handler)()))
}
