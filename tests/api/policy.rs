//! That the stories run under the policies of `template.yaml`: what these do not allow ends a story.

use axum::http::Method;
use functions::routes::ALL;
use harness::TestApp;
use harness::app::START;
use harness::policy::{serving, under};
use shared::contact::EmailAddress;
use shared::domain::customer::Customer;
use shared::domain::user::{Role, User};
use shared::ids::UserId;

#[tokio::test]
#[should_panic(expected = r#"does not let me do {"UpdateItem"}"#)]
async fn a_call_without_leave_ends_the_story_even_if_nobody_minds_its_answer() {
    let (app, ..) = TestApp::start().await;
    under("me", async { drop(app.app.store.count_request("me", "somebody", 1, START).await) }).await;
}

#[tokio::test]
#[should_panic(expected = r#"does not let me do {"PutItem"}"#)]
async fn a_transaction_needs_leave_for_what_is_in_it() {
    let (app, ..) = TestApp::start().await;
    let user = User::new(UserId(START.new_id()), EmailAddress::parse("new@x.io").unwrap(), Role::Admin, START);
    let mut transaction = app.app.store.transaction();
    transaction.save_user(None, &user);
    under("me", async { drop(transaction.commit(&app.app.store).await) }).await;
}

#[tokio::test]
#[should_panic(expected = r#"does not let get-customer do {"Query gsi1"}"#)]
async fn leave_to_query_the_table_is_none_for_its_indexes() {
    let (app, ..) = TestApp::start().await;
    under("get-customer", async { drop(app.app.store.count_list::<Customer>().await) }).await;
}

#[test]
fn a_request_runs_as_the_function_that_answers_it() {
    for function in ALL {
        for route in function.routes {
            let method = Method::from_bytes(route.method.as_bytes()).unwrap();
            assert_eq!(serving(&method, &route.path.replace("{id}", "a-customer")), function.name);
        }
    }
    assert_eq!(serving(&Method::GET, "/nothing/of/ours"), "me");
    assert_eq!(serving(&Method::DELETE, "/auth/login"), "me");
}
