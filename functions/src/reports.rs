//! What the reports are made of: a census, counted while the caller waits if the table is small
//! enough and there is time, else as the backfill counted it last.
//!
//! A table that is too large has a snapshot. Whoever reads one that is no longer fresh asks for the
//! next, by an entry in the work queue; so a backfill that nobody asked counts nothing.

use shared::app::App;
use shared::clock::Time;
use shared::domain::census::{Census, Figures};
use shared::http::ApiError;
use shared::store::StoreError;
use shared::store::census::{Counted, Snapshot};

/// The most users and customers that are counted while somebody waits.
pub const MAX_LIVE_ROWS: u64 = 50_000;

/// How long the caller waits for a count, in seconds; the gateway gives up after 30.
const LIVE_SECONDS: i64 = 20;

/// How long a snapshot is fresh, in seconds.
const FRESH_SECONDS: i64 = 15 * 60;

/// The figures, and as of when.
#[derive(Clone, Debug)]
pub struct Report {
    /// What there was.
    pub figures: Figures,
    /// When the counting began.
    pub as_of: Time,
}

/// The figures of now, or of the last snapshot where there are more than `most_live` rows or counting
/// takes too long: the items between the rows are read, too, and may be many.
pub async fn read(app: &App, most_live: u64) -> Result<Report, ApiError> {
    let now = app.clock.now();
    let kept = app.store.snapshot().await?.unwrap_or_default();
    if let Some(counted) = kept.counted.as_ref().filter(|counted| counted.figures.rows > most_live) {
        let report = last(counted);
        ask(app, &kept, now).await;
        return Ok(report);
    }
    let (census, complete) = count(app, now, |_| waited(app, now)).await?;
    if !complete || census.rows() > most_live {
        ask(app, &kept, now).await;
    }
    if complete {
        return Ok(Report { figures: census.figures(), as_of: now });
    }
    let kept = kept.counted.as_ref().map(last);
    kept.ok_or_else(|| ApiError::Unavailable("the table is larger than can be counted at once; ask again".into()))
}

fn last(counted: &Counted) -> Report {
    Report { figures: counted.figures.clone(), as_of: counted.as_of }
}

/// Every row of the table, as of `now`, however long that takes. Tells `progress` how many users and
/// customers it is through.
pub async fn census(app: &App, now: Time, progress: impl Fn(u64)) -> Result<Census, StoreError> {
    let never = |rows| {
        progress(rows);
        false
    };
    Ok(count(app, now, never).await?.0)
}

/// Whether the caller has waited long enough since `began`.
fn waited(app: &App, began: Time) -> bool {
    app.clock.now() >= began.plus_seconds(LIVE_SECONDS)
}

/// Counts what somebody asked for, unless that takes until `stop_at`: then it is still asked for.
pub(crate) async fn refresh(app: &App, stop_at: Time) -> Result<(), ApiError> {
    let now = app.clock.now();
    let kept = app.store.snapshot().await?.unwrap_or_default();
    let (census, complete) = count(app, now, |_| app.clock.now() >= stop_at).await?;
    if !complete {
        tracing::warn!(rows = census.rows(), "there was no time to count all rows; the next run tries again");
        return Ok(());
    }
    let counted = Some(Counted { figures: census.figures(), as_of: now });
    // Whoever was faster has counted, too.
    app.store.save_snapshot(&Snapshot { counted, due_at: None, ..kept }).await?;
    Ok(())
}

/// Every row of the table, page by page, until there is no more or `enough` says so of the rows so
/// far; the flag says that it was all.
async fn count(app: &App, now: Time, enough: impl Fn(u64) -> bool) -> Result<(Census, bool), StoreError> {
    let mut census = Census::new(now, &app.settings.placeholder_email_domain);
    let mut start = None;
    loop {
        start = app.store.read_census(&mut census, start).await?;
        if start.is_none() {
            return Ok((census, true));
        }
        if enough(census.rows()) {
            return Ok((census, false));
        }
    }
}

/// Asks the backfill to count, once the last count is no longer fresh. That it cannot be asked is
/// no reason not to answer.
async fn ask(app: &App, kept: &Snapshot, now: Time) {
    if kept.due_at.is_some() {
        return;
    }
    let stale_at = kept.counted.as_ref().map_or(now, |counted| counted.as_of.plus_seconds(FRESH_SECONDS));
    let asked = Snapshot { due_at: Some(stale_at.max(now)), ..kept.clone() };
    if let Err(error) = app.store.save_snapshot(&asked).await {
        tracing::warn!(%error, "the backfill could not be asked to count");
    }
}
