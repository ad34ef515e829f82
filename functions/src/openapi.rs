//! The `OpenAPI` 3.1 document of every route, for the local server, client generators and tests.

use std::collections::BTreeMap;

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{RefOr, Response};
use utoipa::{Modify, OpenApi};

use crate::endpoints::{
    assign_delivery, billing_customers, change_password, check, create_customer, dashboard, data_quality,
    delete_customer, forgot_password, get_customer, intake_submit, issue_credentials, link_audit, list_customers,
    list_products, login, logout, me, put_product, register, reset_password, stripe_webhook, track, update_customer,
    update_me,
};
use crate::refusals::{failures, refusals};
use crate::routes::{ALL, Route};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Rollcall",
        description = "From first contact to a working login, with identity kept straight.",
        license(name = "MIT", identifier = "MIT"),
    ),
    paths(
        intake_submit::handle,
        stripe_webhook::handle,
        login::handle,
        me::handle,
        register::handle,
        forgot_password::handle,
        reset_password::handle,
        change_password::handle,
        logout::handle,
        update_me::handle,
        create_customer::handle,
        get_customer::handle,
        list_customers::handle,
        update_customer::handle,
        delete_customer::handle,
        issue_credentials::handle,
        put_product::handle,
        list_products::handle,
        check::handle,
        track::handle,
        dashboard::handle,
        link_audit::handle,
        data_quality::handle,
        billing_customers::handle,
        assign_delivery::handle,
    ),
    modifiers(&Bearer),
    tags(
        (name = "public", description = "What anybody may call."),
        (name = "account", description = "Signing in, and what a signed-in user may do."),
        (name = "customers", description = "What an administrator or an API key may do."),
        (name = "products", description = "What there is to hold, and how much of it is used."),
        (name = "operations", description = "How things stand, who is billed, and who delivers to whom."),
    )
)]
struct Document;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("A session, or an API key."));
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme.build()));
    }
}

/// The document. The older names of a route share its operation.
#[must_use]
pub fn document() -> utoipa::openapi::OpenApi {
    let mut document = Document::openapi();
    for (alias, id) in [
        ("/phase0-v2/customers", "createCustomerPhase0"),
        ("/phase0-v2/customers-with-subscription", "createCustomerWithSubscriptionPhase0"),
    ] {
        let Some(mut item) = document.paths.paths.get("/v1/customers").cloned() else { continue };
        item.get = None;
        if let Some(operation) = &mut item.post {
            operation.operation_id = Some(id.into());
            operation.deprecated = Some(utoipa::openapi::Deprecated::True);
        }
        document.paths.paths.insert(alias.into(), item);
    }
    for route in ALL.iter().flat_map(|function| function.routes) {
        name_refusals(&mut document, route);
    }
    document
}

/// Lists what `route` may refuse with, status by status, in place of the `default` of its handler,
/// which says what a refusal looks like: beside a `default` no answer would be a wrong one.
fn name_refusals(document: &mut utoipa::openapi::OpenApi, route: &Route) {
    let Some(item) = document.paths.paths.get_mut(route.path) else { return };
    let operation = match route.method {
        "GET" => &mut item.get,
        "POST" => &mut item.post,
        "PUT" => &mut item.put,
        "PATCH" => &mut item.patch,
        "DELETE" => &mut item.delete,
        _ => return,
    };
    let Some(operation) = operation else { return };
    let responses = &mut operation.responses.responses;
    let Some(refusal) = responses.remove("default") else { return };
    let mut codes: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for (status, code) in refusals(route).into_iter().chain(failures()) {
        codes.entry(status).or_default().push(format!("`{code}`"));
    }
    for (status, codes) in codes {
        responses.insert(status.to_string(), with_description(&refusal, codes.join(", ")));
    }
}

fn with_description(response: &RefOr<Response>, description: String) -> RefOr<Response> {
    let mut response = response.clone();
    if let RefOr::T(response) = &mut response {
        response.description = description;
    }
    response
}
