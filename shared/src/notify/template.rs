//! What messages say: plain text first, and the same as HTML.

use super::{Letter, Recipient};
use crate::domain::message::MessageKind;
use crate::secret::Secret;
use crate::text::Name;

/// What somebody signs in with.
#[derive(Clone, Debug)]
pub struct Login {
    /// The login.
    pub name: String,
    /// The customer number, where it is easier to type.
    pub number: Option<String>,
}

/// An invitation: the login, and the temporary password alone on its line.
#[must_use]
pub fn invitation(to: Recipient, name: Option<&Name>, login: &Login, password: &Secret, base_url: &str) -> Letter {
    let greeting = greeting(name);
    let password = password.expose();
    let number = login.number.as_ref().map(|number| format!("\nor your customer number {number}")).unwrap_or_default();
    let login = &login.name;
    if matches!(to, Recipient::Sms(_)) {
        let text = format!(
            "Your account is ready. Sign in at {base_url} as {login} with this temporary password:\n{password}\n\
             It works for 7 days and must be changed."
        );
        return letter(MessageKind::Invitation, to, String::new(), text);
    }
    let text = format!(
        "{greeting}\n\nyour account is ready. Sign in at {base_url} as\n\n{login}{number}\n\nwith this temporary \
         password:\n\n{password}\n\nIt works for 7 days. You will be asked to choose a password of your own.\n\n\
         If you did not expect this message, you can ignore it: nobody can sign in without the password above."
    );
    letter(MessageKind::Invitation, to, "Your account is ready".into(), text)
}

/// A notice to a customer whose address was entered in the intake form once more.
#[must_use]
pub fn already_customer(to: Recipient, name: Option<&Name>, base_url: &str) -> Letter {
    let greeting = greeting(name);
    let text = format!(
        "{greeting}\n\nsomebody, perhaps you, entered your address in our sign-up form. You have an account \
         already, so nothing was changed.\n\nSign in at {base_url}\n\nIf it was not you, you can ignore this message."
    );
    letter(MessageKind::AlreadyCustomer, to, "You have an account already".into(), text)
}

/// A way to pay, for a lead who tried to register instead.
#[must_use]
pub fn checkout_link(to: Recipient, name: Option<&Name>, url: &str) -> Letter {
    let greeting = greeting(name);
    let text = format!(
        "{greeting}\n\nyou have signed up with us already and only the payment is missing. Pay here and your account \
         is opened:\n\n{url}\n\nIf it was not you, you can ignore this message."
    );
    letter(MessageKind::CheckoutLink, to, "Only the payment is missing".into(), text)
}

/// A link to set a new password, which stands alone on its line.
#[must_use]
pub fn password_reset(to: Recipient, name: Option<&Name>, token: &Secret, base_url: &str) -> Letter {
    let link = format!("{base_url}/reset-password?token={}", token.expose());
    if matches!(to, Recipient::Sms(_)) {
        let text =
            format!("Set a new password within the hour:\n{link}\nIf you did not ask for it, ignore this message.");
        return letter(MessageKind::PasswordReset, to, String::new(), text);
    }
    let greeting = greeting(name);
    let text = format!(
        "{greeting}\n\nset a new password with this link, which works once and for one hour:\n\n{link}\n\n\
         If you did not ask for it, you can ignore this message: your password stays as it is."
    );
    letter(MessageKind::PasswordReset, to, "Set a new password".into(), text)
}

/// The longest name that a message greets by, in characters.
const MAX_GREETED_CHARS: usize = 60;

/// The greeting. Anybody may enter a stranger's address beside a name of their choice: one that reads
/// as a link or a sentence is left out, so that nobody's message is sent in our name.
fn greeting(name: Option<&Name>) -> String {
    let name = name.map(|name| name.as_str().replace(['\n', '\r', '\u{2028}', '\u{2029}'], " "));
    name.filter(|name| is_plain(name)).map_or_else(|| "Hello,".into(), |name| format!("Hello {name},"))
}

/// Whether a name is no more than that: short, and nothing that a mail program makes a link of.
fn is_plain(name: &str) -> bool {
    let chars: Vec<char> = name.chars().collect();
    let joins = |window: &[char]| matches!(window, [a, '.', b] if a.is_alphanumeric() && b.is_alphanumeric());
    chars.len() <= MAX_GREETED_CHARS && !name.contains(['/', ':', '@', '\\']) && !chars.windows(3).any(joins)
}

fn letter(kind: MessageKind, to: Recipient, subject: String, text: String) -> Letter {
    let html = html(&text);
    Letter { kind, to, subject, text, html }
}

/// The paragraphs of `text`, escaped: a name is whatever its owner typed.
fn html(text: &str) -> String {
    let escape = |text: &str| {
        text.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .replace('"', "&quot;")
            .replace('\'', "&#39;")
    };
    let paragraphs = text.split("\n\n").map(|part| format!("<p>{}</p>", escape(part).replace('\n', "<br>")));
    format!("<!doctype html><html><body>{}</body></html>", paragraphs.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use crate::contact::{EmailAddress, Phone};

    #[test]
    fn the_password_stands_alone_on_its_line_in_mail_and_sms() {
        let mail = Recipient::Email(EmailAddress::parse("a@x.io").unwrap());
        let sms = Recipient::Sms(Phone::parse("9876543210", Settings::default().phone_default_country).unwrap());
        for to in [mail, sms] {
            let login = Login { name: "PL1".into(), number: Some("PL1".into()) };
            let letter = invitation(to, None, &login, &Secret::new("ABCDEFGHJKLMNPQR"), "https://x.io");
            assert_eq!(letter.text.lines().filter(|line| *line == "ABCDEFGHJKLMNPQR").count(), 1);
        }
    }

    #[test]
    fn a_name_greets_as_it_is() {
        assert_eq!(greeting(None), "Hello,");
        for name in
            ["J. R. R. Tolkien", "O'Brien-Smith", "Dr. Ana Ruiz, Jr.", "Łukasz (Luke) Żak", "木村 拓哉", "Milk & Co."]
        {
            assert_eq!(greeting(Name::parse(name).ok().as_ref()), format!("Hello {name},"));
        }
        for lines in ["Ana\nRuiz", "Ana\rRuiz", "Ana\u{2028}Ruiz", "Ana\u{2029}Ruiz"] {
            assert_eq!(greeting(Name::parse(lines).ok().as_ref()), "Hello Ana Ruiz,");
        }
        let longest = "x".repeat(MAX_GREETED_CHARS);
        assert_eq!(greeting(Name::parse(&longest).ok().as_ref()), format!("Hello {longest},"));
    }

    #[test]
    fn a_name_that_reads_as_a_link_or_a_sentence_is_left_out() {
        let long = "x".repeat(MAX_GREETED_CHARS + 1);
        let names = [
            "Your parcel is held. Confirm now: https://evil.example/pay",
            "evil.example",
            "Call now: 555",
            "pay@evil",
            "evil/pay",
            "\\\\evil",
            "пример.рф",
            &long,
        ];
        for name in names {
            assert_eq!(greeting(Some(&Name::parse(name).unwrap())), "Hello,", "{name}");
        }
    }

    #[test]
    fn a_name_is_text_in_html() {
        let to = Recipient::Email(EmailAddress::parse("a@x.io").unwrap());
        let name = Name::parse("<b>&\"Ana\"").ok();
        let letter = already_customer(to, name.as_ref(), "https://x.io");
        assert!(letter.html.contains("&lt;b&gt;&amp;&quot;Ana&quot;"), "{}", letter.html);
    }
}
