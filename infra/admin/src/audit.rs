//! The audit: what `link-audit`, `data-quality` and `dashboard` report, counted now.
//!
//! Every row of the table is read, strongly consistently, however large the table is; of each a few
//! facts are kept. The figures and their names are those of the API, whose answers are made here.

use functions::endpoints::dashboard::DashboardResponse;
use functions::endpoints::data_quality::DataQualityResponse;
use functions::endpoints::link_audit::LinkAuditResponse;
use functions::reports::{Report, census};
use serde_json::{Value, to_value};
use shared::app::App;
use shared::clock::Time;
use shared::domain::census::{Case, Census, Finding, Side};
use shared::store::StoreError;

/// The figures of each report, in the order of the API.
const REPORTS: [(&str, &[&str]); 3] = [
    (
        "link-audit",
        &[
            "users_linked",
            "users_orphaned",
            "customers_orphaned",
            "total_sync_issues",
            "can_login",
            "cannot_login",
            "missing_email",
            "verified_linked",
            "one_way_links",
            "dangling_links",
            "duplicate_links",
            "missing_customer_reference",
            "missing_customer_number",
        ],
    ),
    (
        "data-quality",
        &[
            "total_users",
            "total_v2_customers",
            "linked_records",
            "orphaned_users",
            "orphaned_v2",
            "linkage_completeness",
            "status",
        ],
    ),
    (
        "dashboard",
        &[
            "legacy_customers",
            "v2_customers",
            "linked_customers",
            "total_unique_customers",
            "leads",
            "by_status",
            "systems_in_use",
        ],
    ),
];

/// Everybody, counted.
#[derive(Debug)]
pub struct Audit {
    census: Census,
    as_of: Time,
}

/// Counts everybody. Tells `progress` how many users and customers it is through.
pub async fn take(app: &App, progress: impl Fn(u64)) -> Result<Audit, StoreError> {
    let as_of = app.clock.now();
    Ok(Audit { census: census(app, as_of, progress).await?, as_of })
}

impl Audit {
    /// The figures, a line each, below the name of their report.
    pub fn table(&self) -> Result<Vec<String>, serde_json::Error> {
        let report = Report { figures: self.census.figures(), as_of: self.as_of };
        let answers = [
            to_value(LinkAuditResponse::from(report.clone()))?,
            to_value(DataQualityResponse::from(report.clone()))?,
            to_value(DashboardResponse::from(report))?,
        ];
        let mut lines = vec![line("as_of", &self.as_of.to_string())];
        for ((report, figures), answer) in REPORTS.iter().zip(&answers) {
            lines.push((*report).to_owned());
            for name in *figures {
                add(&mut lines, name, &answer[*name]);
            }
        }
        lines.push("review".to_owned());
        lines.push(line("  ambiguous", &self.cases(Finding::Ambiguous).count().to_string()));
        Ok(lines)
    }

    /// Every record about which there is `finding`, a line each: what it is, its id, and what it
    /// points to.
    pub fn cases(&self, finding: Finding) -> impl Iterator<Item = String> {
        self.census.cases(finding).map(case_line)
    }
}

fn add(lines: &mut Vec<String>, name: &str, figure: &Value) {
    match figure {
        Value::Object(parts) => {
            for (part, figure) in parts {
                lines.push(line(&format!("  {name}.{part}"), &text(figure)));
            }
        }
        figure => lines.push(line(&format!("  {name}"), &text(figure))),
    }
}

fn text(figure: &Value) -> String {
    match figure {
        Value::String(text) => text.clone(),
        Value::Array(values) if values.is_empty() => "-".to_owned(),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(", "),
        figure => figure.to_string(),
    }
}

fn line(name: &str, figure: &str) -> String {
    format!("{name:<30}  {figure:>20}")
}

fn case_line(case: Case) -> String {
    let user = case.user_id.map_or_else(|| "-".to_owned(), |id| id.to_string());
    let customer = case.internal_id.map_or_else(|| "-".to_owned(), |id| id.to_string());
    match case.record {
        Side::User => format!("user      {user}  customer_v2_id  {customer}"),
        Side::Customer => format!("customer  {customer}  user_id         {user}"),
    }
}
