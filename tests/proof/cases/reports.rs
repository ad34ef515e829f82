//! Reports of a table that is too large to be counted while somebody waits: whoever reads one asks for the
//! next count.

use functions::reports::MAX_LIVE_ROWS;
use harness::app::START;
use harness::{Answer, World};
use shared::domain::census::Figures;
use shared::store::census::{Counted, Snapshot};

use super::jobs::came_to;
use super::{Actors, Case, nothing};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "dashboard of a large table",
        prepare: |a| Box::pin(large(a)),
        call: |a| Box::pin(read(a, "/admin/dashboard")),
        check: asked_for,
    },
    Case {
        name: "link audit of a large table",
        prepare: |a| Box::pin(large(a)),
        call: |a| Box::pin(read(a, "/admin/link-audit")),
        check: asked_for,
    },
    Case {
        name: "data quality of a large table",
        prepare: |a| Box::pin(large(a)),
        call: |a| Box::pin(read(a, "/admin/data-quality")),
        check: asked_for,
    },
];

/// More was counted than is counted at once.
async fn large(actors: &Actors) -> Answer {
    let figures = Figures { rows: MAX_LIVE_ROWS + 1, ..Figures::default() };
    let counted = Some(Counted { figures, as_of: START });
    assert!(actors.app.raw_store().save_snapshot(&Snapshot { counted, ..Snapshot::default() }).await.unwrap());
    nothing(actors).await
}

/// Reads a report; who comes next asks for a count that could not be asked for.
async fn read(actors: &Actors, path: &str) -> Answer {
    let answer = actors.admin.get(path).await;
    let asked = actors.app.world().await.of("report")[0]["due_at"].is_string();
    if answer.status >= 300 || asked { answer } else { came_to(false, answer.text) }
}

/// The last count is as it was, and the next is due.
fn asked_for(world: &World) {
    let report = world.of("report")[0];
    assert_eq!(report["counted"]["figures"]["rows"], MAX_LIVE_ROWS + 1);
    assert!(report["due_at"].is_string(), "nobody counts again");
}
