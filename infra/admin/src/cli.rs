//! What can be typed.

use std::process::ExitCode;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand};

use crate::commands::{
    audit, backfill, create_admin, create_api_key, create_table, create_user, disable_user, enable_user, export,
    import, init_counter, link, list_api_keys, migrate, revoke_api_key, set_password, unlink,
};
use crate::context::Context;
use crate::error::AdminError;

/// What `--help` says after the flags.
const AFTER_HELP: &str = "\
Environment:
  AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_ENDPOINT_URL_DYNAMODB
  as for the AWS CLI. Profiles, SSO and instance roles are not read: export their credentials first,
    eval \"$(aws configure export-credentials --format env)\"
  The settings of the functions (`CRN_PREFIX`, `PASSWORD_MIN_LENGTH`, …) must be the same here as there.

Exit codes:
  0 done, or there already   1 refused or failed   2 not understood   3 some rows were refused";

/// Runs Rollcall's table: creates it, gives out and takes back logins and keys, sets its counters,
/// brings a legacy system over, and tells whether everybody is who they should be.
///
/// Every command can be repeated. Results go to standard output, progress and notes to standard error.
#[derive(Debug, Parser)]
#[command(name = "admin", version, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    /// Which table, and how to treat it.
    #[command(flatten)]
    pub(crate) target: Target,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Which table, and how to treat it.
#[derive(Args, Debug)]
pub(crate) struct Target {
    /// The table [env: `TABLE_NAME`] [default: `rollcall`]
    #[arg(long, global = true, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) table: Option<String>,
    /// Where the table is, if not on AWS; without credentials, local ones are made up
    #[arg(long, global = true, value_name = "URL", value_parser = url)]
    pub(crate) endpoint: Option<String>,
    /// Change nothing, and say what would be done
    #[arg(long, global = true)]
    pub(crate) dry_run: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create the table with its indexes, stream and expiry
    CreateTable(create_table::Opts),
    /// Create an admin, and print the password they sign in with first
    CreateAdmin(create_admin::Opts),
    /// Create an admin, a delivery boy or a customer, and print the password they sign in with first
    CreateUser(create_user::Opts),
    /// Let a user sign in no more, and end their sessions
    DisableUser(disable_user::Opts),
    /// Let a disabled user sign in again
    EnableUser(enable_user::Opts),
    /// Set a user's password, or make one and print it; their sessions end
    SetPassword(set_password::Opts),
    /// Create an API key, and print it
    CreateApiKey(create_api_key::Opts),
    /// List the API keys, oldest first: id, label, made at, revoked at
    ListApiKeys(list_api_keys::Opts),
    /// Revoke an API key
    RevokeApiKey(revoke_api_key::Opts),
    /// Set the last number issued elsewhere, so that the next one here follows it
    InitCounter(init_counter::Opts),
    /// Import users and customers of a legacy system, as `mongoexport` writes them; they wait for
    /// `migrate up`
    Import(import::Opts),
    /// Link imported rows and give them what they lack, undo that, and list the runs
    Migrate(migrate::Opts),
    /// Link a user with a customer, whatever a legacy system said of either
    Link(link::Opts),
    /// Take a customer and its login apart; both wait for the backfill then
    Unlink(unlink::Opts),
    /// Count users and customers, and say how well they belong together
    Audit(audit::Opts),
    /// Give every row under review what it lacks, as the schedule does
    Backfill(backfill::Opts),
    /// Write the customers to a file
    Export(export::Opts),
}

impl Command {
    /// Does it.
    pub(crate) async fn run(self, context: &Context) -> Result<ExitCode, AdminError> {
        match self {
            Self::CreateTable(opts) => create_table::run(context, opts).await,
            Self::CreateAdmin(opts) => create_admin::run(context, opts).await,
            Self::CreateUser(opts) => create_user::run(context, opts).await,
            Self::DisableUser(opts) => disable_user::run(context, opts).await,
            Self::EnableUser(opts) => enable_user::run(context, opts).await,
            Self::SetPassword(opts) => set_password::run(context, opts).await,
            Self::CreateApiKey(opts) => create_api_key::run(context, opts).await,
            Self::ListApiKeys(opts) => list_api_keys::run(context, opts).await,
            Self::RevokeApiKey(opts) => revoke_api_key::run(context, opts).await,
            Self::InitCounter(opts) => init_counter::run(context, opts).await,
            Self::Import(opts) => import::run(context, opts).await,
            Self::Migrate(opts) => migrate::run(context, opts).await,
            Self::Link(opts) => link::run(context, opts).await,
            Self::Unlink(opts) => unlink::run(context, opts).await,
            Self::Audit(opts) => audit::run(context, opts).await,
            Self::Backfill(opts) => backfill::run(context, opts).await,
            Self::Export(opts) => export::run(context, opts).await,
        }
    }
}

fn url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let well_formed = rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace));
    if well_formed { Ok(text.to_owned()) } else { Err("must be an http(s) URL".into()) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("admin").chain(line.split_whitespace()))
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_the_manual_shows_is_understood() {
        for line in [
            "create-table",
            "--dry-run create-table",
            "create-admin --email a@b.io --password-stdin",
            "create-user --email a@b.io --role delivery_boy --name Ana --phone +4915112345678",
            "create-user --email a@b.io --role customer --password-stdin",
            "create-admin --email a@b.io --password lantern-harbour-teal",
            "disable-user --email a@b.io",
            "enable-user --user 0190a1c2-0000-7000-8000-000000000000 --dry-run",
            "set-password --email a@b.io --password-stdin",
            "set-password --user a@b.io --password lantern-harbour-teal",
            "disable-user --user a@b.io",
            "list-api-keys --all",
            "revoke-api-key 0190a1c2-0000-7000-8000-000000000000",
            "create-api-key --label ci --table t --endpoint http://127.0.0.1:8000 --dry-run",
            "init-counter customer-number 23",
            "init-counter crn 2026 41 --dry-run",
            "import --users u.json --customers c.json --clients l.json --dry-run",
            "import --clients l.json --report r.csv",
            "backfill",
            "migrate up",
            "migrate up --invite",
            "migrate up --dry-run",
            "migrate down --run 0190a1c2-0000-7000-8000-000000000000",
            "migrate down --run 0190a1c2-0000-7000-8000-000000000000 --dry-run",
            "migrate status",
            "link --user 0190a1c2-0000-7000-8000-000000000000 --customer PLE-CVP-2026-000001",
            "link --user a@b.io --customer PL24 --dry-run",
            "unlink --customer cust-550e8400",
            "audit",
            "audit --list ambiguous",
            "audit --list one-way",
            "audit --list dangling",
            "audit --list duplicate",
            "export --customers customers.csv",
            "export --customers -",
        ] {
            assert!(parse(line).is_ok(), "{line}: {:?}", parse(line).err());
        }
    }

    #[test]
    fn what_makes_no_sense_is_a_usage_error() {
        for line in [
            "",
            "drop-table",
            "create-admin",
            "create-admin --email nobody",
            "create-user --email a@b.io --role king",
            "create-user --email a@b.io --role admin --password x --password-stdin",
            "disable-user",
            "enable-user --email a@b.io --user 0190a1c2-0000-7000-8000-000000000000",
            "set-password --user nobody",
            "revoke-api-key",
            "create-api-key --label",
            "init-counter customer-number -1",
            "init-counter crn 23",
            "import",
            "import --report r.csv",
            "migrate",
            "migrate down",
            "migrate down --run last",
            "link --user nobody --customer PL24",
            "link --user a@b.io",
            "unlink",
            "audit --list everybody",
            "export",
            "--endpoint localhost:8000 create-table",
            "--table= create-table",
        ] {
            assert_eq!(parse(line).map_err(|error| error.exit_code()).err(), Some(2), "{line}");
        }
    }

    #[test]
    fn global_flags_may_stand_on_either_side() {
        let (before, after) = (parse("--dry-run --table t backfill").unwrap(), parse("backfill --dry-run --table t"));
        let after = after.unwrap();
        assert!(before.target.dry_run && after.target.dry_run);
        assert_eq!(before.target.table, after.target.table);
    }
}
