//! Transactions, when the table does not do at once what it is asked.

use harness::TestApp;
use harness::app::START;
use harness::faults::{Fault, Kind, When};
use serde_json::json;
use shared::ids::CustomerId;
use shared::store::purge::Purge;
use shared::store::{Conflict, Refused, Store, StoreError};

/// More attempts than the SDK makes of one call.
const FAULTS: u64 = 5;

/// What goes by if one waits. The SDK asks again after some of these, and gives up sooner.
const PASSING: [Kind; 7] = [
    Kind::TransactionConflict,
    Kind::TransactionThrottled,
    Kind::TransactionInProgress,
    Kind::Throttle,
    Kind::InternalError,
    Kind::Before,
    Kind::LostAnswer,
];

#[tokio::test]
async fn what_passes_is_waited_for_and_the_caller_does_not_hear_of_it() {
    for kind in PASSING {
        let (app, _, admin) = TestApp::start().await;
        for n in 1..=FAULTS {
            app.connector.inject(Fault { at: When::Operation("TransactWriteItems", n), kind });
        }
        let made = admin.post("/v1/customers", json!({ "id": "acme", "email": "ops@acme.io" })).await;
        assert_eq!((made.status, app.connector.faults_fired()), (201, FAULTS), "{kind:?}: {}", made.text);
        assert_eq!((made.str("customer_reference"), made.str("customerId")), ("PLE-CVP-2026-000001", "PL1"));
        let world = app.world().await;
        world.assert_straight();
        assert_eq!((world.of("customer").len(), world.messages("invitation").len()), (1, 1), "{kind:?}");
    }
}

#[tokio::test]
async fn what_does_not_pass_is_asked_once() {
    let (app, ..) = TestApp::start().await;
    let nowhere = Store::new(app.app.store.client().clone(), "nowhere");
    let mut transaction = nowhere.transaction();
    transaction.create(&Purge::new(CustomerId(START.new_id()), START), Conflict::Exists);
    let calls = app.connector.calls_of(async {
        let refused = transaction.commit(&nowhere).await;
        assert!(matches!(refused, Err(Refused::Store(StoreError::NoTable(_)))), "{refused:?}");
    });
    assert_eq!(calls.await, 1);
}
