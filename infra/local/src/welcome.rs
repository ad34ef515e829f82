//! What is printed when the server is ready.

use shared::contact::EmailAddress;

use crate::admin::Admin;
use crate::setup::Local;
use crate::terminal::say;

/// Says where the server is and, on the first start, how to walk through it.
pub(crate) fn announce(local: &Local, admin_email: &EmailAddress) {
    // Whoever waits for this line may call everything: it is the only one that says so.
    say(format_args!("listening on {}", local.base_url));
    if let Some(url) = &local.dynamodb_url {
        say(format_args!("dynamodb at {url}"));
    }
    let email = admin_email.as_str();
    match &local.admin {
        Admin::Known => return,
        Admin::New => say(format_args!("\nadministrator: {email}")),
        Admin::Generated(password) => say(format_args!(
            "\nadministrator: {email}\npassword:      {}\n\n\
             The password is shown this once and must be changed after the first login.",
            password.expose()
        )),
    }
    say(walk(&local.base_url));
}

/// Lines for any POSIX shell with `curl`, `grep` and `sed`.
fn walk(base_url: &str) -> String {
    WALK.replace("{base_url}", base_url)
}

const WALK: &str = r#"
From first contact to a signed-in page; copy and paste:

B={base_url}
J='content-type: application/json'
R=$(curl -s $B/api/intake/submit -H "$J" -d '{"name":"Asha Rao","email":"asha@example.com"}'); echo "$R"
U=$(echo "$R" | sed 's/.*"checkout_url":"\([^"]*\)".*/\1/')
curl -s -o /dev/null -w 'paid: %{http_code}\n' -X POST "$U"
sleep 1; curl -s $B/dev/outbox; echo
P=$(curl -s $B/dev/outbox | grep -oE '\\n[A-HJ-NP-Za-km-z2-9]{16}\\n' | head -1 | cut -c3-18)
L=$(curl -s $B/auth/login -H "$J" -d '{"email":"asha@example.com","password":"'$P'"}'); echo "$L"
T=$(echo "$L" | sed 's/.*"token":"\([^"]*\)".*/\1/')
curl -s $B/auth/me -H "authorization: Bearer $T"; echo

All routes: {base_url}/docs
The same walk, run for you: cargo run -- demo
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_walk_goes_where_the_server_is() {
        let walk = walk("http://127.0.0.1:4000");
        assert!(walk.contains("B=http://127.0.0.1:4000\n") && !walk.contains("{base_url}"), "{walk}");
    }
}
