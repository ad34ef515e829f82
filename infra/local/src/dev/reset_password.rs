//! `GET /reset-password?token=`: where the link in a message leads.

use axum::response::Response;
use uuid::Uuid;

use super::html::page_with;

/// The form. The token stays in the address: the page reads it from there, and the server never
/// writes it into anything.
pub async fn handle() -> Response {
    let nonce = Uuid::new_v4().simple().to_string();
    let body = format!("{FORM}<script nonce=\"{nonce}\">{SCRIPT}</script>");
    page_with("Choose a password", &body, &format!("; script-src 'nonce-{nonce}'; connect-src 'self'"))
}

const FORM: &str = "<form method=\"post\"><p><label>New password<br>\
    <input type=\"password\" name=\"password\" autocomplete=\"new-password\" required></label></p>\
    <button>Set password</button></form><p role=\"status\"></p>";

const SCRIPT: &str = r#"
const form = document.querySelector("form"), status = document.querySelector("[role=status]");
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const token = new URLSearchParams(location.search).get("token") ?? "";
  try {
    const answer = await fetch("/auth/reset-password", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ token, new_password: form.elements.password.value }),
    });
    const body = await answer.json();
    status.textContent = body.message || (body.errors ?? []).map((e) => e.message).join("; ") || body.detail;
    if (answer.ok) form.remove();
  } catch {
    status.textContent = "The server did not answer; try again.";
  }
});
"#;
