//! New passwords: made here, or given by the operator.

use std::io::{BufRead, stdin};

use clap::Args;
use clap::builder::{StringValueParser, TypedValueParser};
use shared::contact::EmailAddress;
use shared::domain::password_policy;
use shared::domain::user::TemporaryPassword;
use shared::password::MAX_PASSWORD_BYTES;
use shared::secret::{Secret, readable_password};
use shared::text::Name;

use crate::error::AdminError;
use crate::output::{note, result};

/// 116 bits.
const GENERATED_CHARS: usize = 20;

/// The password, if it is not to be made here.
#[derive(Args, Debug)]
#[group(multiple = false)]
pub(crate) struct PasswordOpts {
    /// Read the password from the first line of standard input; it need not be changed
    #[arg(long)]
    password_stdin: bool,
    /// The password; it need not be changed. Visible in the process list and kept in the shell's
    /// history: prefer `--password-stdin`
    #[arg(long, value_name = "P", value_parser = StringValueParser::new().map(Secret::new))]
    password: Option<Secret>,
}

/// Where a new password comes from.
#[derive(Debug)]
pub(crate) enum PasswordSource {
    /// Made here, and good until the first sign-in.
    Generated,
    /// Given on standard input, and kept.
    Stdin,
    /// Given on the command line, and kept.
    Argument(Secret),
}

impl From<PasswordOpts> for PasswordSource {
    fn from(opts: PasswordOpts) -> Self {
        match (opts.password, opts.password_stdin) {
            (Some(password), _) => Self::Argument(password),
            (None, true) => Self::Stdin,
            (None, false) => Self::Generated,
        }
    }
}

impl PasswordSource {
    /// The password for the owner of `email` and `name`; one that is given is held to the policy.
    pub(crate) fn obtain(
        self,
        min_chars: usize,
        email: &EmailAddress,
        name: Option<&Name>,
    ) -> Result<NewPassword, AdminError> {
        let secret = match self {
            Self::Generated => {
                return Ok(NewPassword { secret: readable_password(GENERATED_CHARS), generated: true });
            }
            Self::Stdin => Secret::new(first_line(stdin().lock())?),
            Self::Argument(secret) => secret,
        };
        password_policy::check(&secret, min_chars, email, name).map_err(AdminError::Password)?;
        Ok(NewPassword { secret, generated: false })
    }
}

/// A password that an account is to have.
#[derive(Debug)]
pub(crate) struct NewPassword {
    secret: Secret,
    generated: bool,
}

impl NewPassword {
    /// The password itself, to be hashed.
    pub(crate) fn secret(&self) -> &Secret {
        &self.secret
    }

    /// That it must be changed, if it was made here; it works until then.
    pub(crate) fn temporary(&self) -> Option<TemporaryPassword> {
        self.generated.then_some(TemporaryPassword { expires_at: None, kid: None })
    }

    /// Prints it, if it was made here and so nobody has seen it.
    pub(crate) fn show(&self) -> Result<(), AdminError> {
        if self.generated {
            result(format_args!("password: {}", self.secret.expose()))?;
            note(format_args!("The password is shown this once, and must be changed at the first sign-in."));
        }
        Ok(())
    }
}

/// The first line of `input` without its end: as it was typed, neither trimmed nor normalised.
fn first_line(input: impl BufRead) -> Result<String, AdminError> {
    // Enough to see that a password is too long; the line end may take two bytes.
    let enough = u64::try_from(MAX_PASSWORD_BYTES + 3).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    input.take(enough).read_until(b'\n', &mut bytes).map_err(AdminError::Input)?;
    let line = bytes.strip_suffix(b"\n").map_or(bytes.as_slice(), |line| line.strip_suffix(b"\r").unwrap_or(line));
    let text = std::str::from_utf8(line).map_err(|_| AdminError::Password("must be UTF-8 text".into()))?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn email() -> EmailAddress {
        EmailAddress::parse("ana@example.com").unwrap()
    }

    fn given(text: &str) -> Result<NewPassword, AdminError> {
        PasswordSource::Argument(Secret::new(text)).obtain(15, &email(), None)
    }

    #[test]
    fn only_the_line_end_is_taken_off() {
        for input in [" pass word ", " pass word \n", " pass word \r\n", " pass word \nnext\n"] {
            assert_eq!(first_line(input.as_bytes()).unwrap(), " pass word ", "{input:?}");
        }
        assert!(matches!(first_line(&b"\xff\n"[..]), Err(AdminError::Password(_))));
    }

    #[test]
    fn a_given_password_is_held_to_the_policy() {
        assert!(given("lantern harbour").is_ok());
        let endless = first_line("lantern harbour ".repeat(300).as_bytes()).unwrap();
        for bad in ["lantern harbou", "passwordpassword", "ana@example.com", &endless] {
            assert!(matches!(given(bad), Err(AdminError::Password(_))), "{bad}");
        }
    }

    #[test]
    fn only_a_generated_password_must_be_changed() {
        let generated = PasswordSource::Generated.obtain(15, &email(), None).unwrap();
        assert_eq!(generated.temporary(), Some(TemporaryPassword { expires_at: None, kid: None }));
        assert_eq!(given("lantern harbour").unwrap().temporary(), None);
    }
}
