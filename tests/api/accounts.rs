//! What the stories of accounts share.

use aws_sdk_dynamodb::types::AttributeValue;
use harness::app::START;
use harness::{Actor, Answer, TestApp};
use serde_json::json;
use shared::contact::EmailAddress;
use shared::domain::user::{Role, User};
use shared::ids::UserId;
use shared::secret::Secret;
use shared::store::key::Key;

/// The password that everybody begins with.
pub(crate) const PASSWORD: &str = "a long enough password";

/// The password that they choose next.
pub(crate) const NEW_PASSWORD: &str = "another password, and longer";

/// Registers `email` with [`PASSWORD`].
pub(crate) async fn register(nobody: &Actor, email: &str) -> Answer {
    nobody.post("/auth/register", json!({ "name": "Ana Ruiz", "email": email, "password": PASSWORD })).await
}

/// Asks for a reset link.
pub(crate) async fn forgot(nobody: &Actor, login: &str) -> Answer {
    nobody.post("/auth/forgot-password", json!({ "email": login })).await
}

/// Chooses a password with the token of a reset link.
pub(crate) async fn reset(nobody: &Actor, token: &str, new_password: &str) -> Answer {
    nobody.post("/auth/reset-password", json!({ "token": token, "new_password": new_password })).await
}

/// Chooses a password while signed in.
pub(crate) async fn change(user: &Actor, current_password: &str, new_password: &str) -> Answer {
    let body = json!({ "current_password": current_password, "new_password": new_password });
    user.post("/auth/change-password", body).await
}

/// The tokens of the reset links that `to` was sent, newest first.
pub(crate) fn reset_tokens(app: &TestApp, to: &str) -> Vec<String> {
    app.reset_tokens(to)
}

/// Asks for a reset link for `login` and answers the token that `to` was sent.
pub(crate) async fn reset_token(app: &TestApp, nobody: &Actor, login: &str, to: &str) -> String {
    let before = reset_tokens(app, to).len();
    forgot(nobody, login).await.expect(200);
    app.deliver_mail().await;
    let tokens = reset_tokens(app, to);
    assert_eq!(tokens.len(), before + 1, "one link comes to {to}");
    tokens[0].clone()
}

/// How many messages `to` was sent.
pub(crate) fn letters_to(app: &TestApp, to: &str) -> usize {
    app.delivered().iter().filter(|letter| letter.to == to).count()
}

/// Stores an account that nobody registered or invited.
pub(crate) async fn with_user(app: &TestApp, email: &str, role: Role, password: Option<&str>) -> User {
    let mut user = User::new(UserId(START.new_id()), EmailAddress::parse(email).unwrap(), role, START);
    if let Some(password) = password {
        user.password_hash = Some(app.app.passwords.hash(&Secret::new(password)).await.unwrap());
    }
    app.save(&user).await;
    user
}

/// The user that `answer` is about, as stored.
pub(crate) async fn user_of(app: &TestApp, answer: &Answer) -> User {
    app.raw_store().user(answer.str("user_id").parse().unwrap()).await.unwrap().unwrap()
}

/// Changes a user below everything.
pub(crate) async fn change_user(app: &TestApp, id: UserId, change: impl FnOnce(&mut User)) {
    let store = app.raw_store();
    let before = store.user(id).await.unwrap().unwrap();
    let mut after = before.clone();
    change(&mut after);
    let mut transaction = store.transaction();
    transaction.save_user(Some(&before), &after);
    transaction.commit(&store).await.unwrap();
}

/// Deletes a user below everything.
pub(crate) async fn delete_user(app: &TestApp, id: UserId) {
    let store = app.raw_store();
    let delete = store.client().delete_item().table_name(store.table());
    delete.set_key(Some(Key::user(id).attributes())).send().await.unwrap();
}

/// An API key.
pub(crate) async fn api_key(app: &TestApp) -> String {
    app.app.store.create_api_key("stories", START).await.unwrap().1.expose().to_owned()
}

/// An API key that was revoked.
pub(crate) async fn revoked_key(app: &TestApp) -> String {
    let (key, text) = app.app.store.create_api_key("revoked", START).await.unwrap();
    let store = app.raw_store();
    let revoke = store.client().update_item().table_name(store.table());
    let revoke = revoke
        .set_key(Some(Key::api_key(&key.sha256).attributes()))
        .update_expression("SET revoked_at = :at")
        .expression_attribute_values(":at", AttributeValue::S(START.to_string()));
    revoke.send().await.unwrap();
    text.expose().to_owned()
}

/// The fields that a refusal names, in order of their names.
pub(crate) fn fields(answer: &Answer) -> Vec<&str> {
    answer.refused(400, "invalid_request");
    let mut fields = answer.fields();
    fields.sort_unstable();
    fields
}
