//! What a dry run foretells: which rows would meet one another in a table that neither is in yet.
//!
//! Every row that would be written claims what only one may have; sorted, the second claim of the
//! same stands beside the first.

use std::io;

use shared::clock::Time;
use shared::store::members::MAX_MEMBERS;
use uuid::Uuid;

use super::draft::{Draft, Fate};
use super::finding::{Finding, Place, Refusal, Remark, What};
use super::scan::{place_bytes, place_of};
use super::sort::{CHUNK_BYTES, Record, Sorter};

/// What follows a claim in its key: a separator, the turn of the row, its place.
const SUFFIX_BYTES: usize = 1 + 8 + 9;

/// Claims, in the order in which the rows are imported.
#[derive(Debug)]
pub(super) struct Claims {
    sorter: Sorter,
    pushed: u64,
}

/// What a claim means for its row.
pub(super) enum Foretold {
    /// It would be found to be there already.
    There,
    /// It would be reported or refused.
    Finding(Finding),
}

impl Claims {
    pub(super) fn new() -> Self {
        Self { sorter: Sorter::new(CHUNK_BYTES), pushed: 0 }
    }

    /// Claims what `draft` would hold if its `fate` came true.
    pub(super) fn push(&mut self, draft: &Draft, fate: &Fate) -> io::Result<()> {
        let Some(owner) = fate.owner() else { return Ok(()) };
        self.pushed += 1;
        let mut value = owner.as_bytes().to_vec();
        let said = draft.said().map_or(i64::MIN, Time::unix_seconds);
        value.extend(said.to_be_bytes());
        for held in fate.held() {
            let mut key = held.pk.into_bytes();
            key.push(0);
            key.extend(self.pushed.to_be_bytes());
            key.extend(place_bytes(draft.place));
            self.sorter.push(Record { key, value: value.clone() })?;
        }
        Ok(())
    }

    /// What the claims mean, for every row that comes second.
    pub(super) fn foretell(self, mut tell: impl FnMut(Place, Foretold) -> io::Result<()>) -> io::Result<()> {
        let mut first: Option<Claim> = None;
        let mut holders = 0;
        for record in self.sorter.finish()? {
            let Some(claim) = Claim::of(record?) else { continue };
            match &first {
                Some(held) if held.what == claim.what => {
                    if let Some(foretold) = claim.against(held, holders) {
                        tell(claim.place, foretold)?;
                    }
                    holders += usize::from(held.owner != claim.owner);
                }
                _ => {
                    holders = 1;
                    first = Some(claim);
                }
            }
        }
        Ok(())
    }
}

struct Claim {
    what: Vec<u8>,
    place: Place,
    owner: Uuid,
    said: i64,
}

impl Claim {
    fn of(Record { mut key, value }: Record) -> Option<Self> {
        let place = place_of(&key)?;
        key.truncate(key.len().checked_sub(SUFFIX_BYTES)?);
        let (owner, said) = value.split_last_chunk::<8>()?;
        let (owner, said) = (Uuid::from_slice(owner).ok()?, i64::from_be_bytes(*said));
        Some(Self { what: key, place, owner, said })
    }

    /// What this claim comes to, `held` having been there first, and `holders` being as many.
    fn against(&self, held: &Self, holders: usize) -> Option<Foretold> {
        let reported = |field, what| Some(Foretold::Finding(Finding::Reported(Remark { field, what })));
        let kind = self.what.split(|byte| *byte == b'#').next()?;
        if matches!(kind, b"USER" | b"CUSTOMER") {
            let same = self.said == held.said || self.said == i64::MIN;
            return Some(if same { Foretold::There } else { Foretold::Finding(Finding::Refused(Refusal::IdTaken)) });
        }
        if self.owner == held.owner {
            return None;
        }
        match kind {
            b"EMAIL" => reported("email", What::LoginTaken),
            b"NUMBER" => reported("customerId", What::NumberTaken),
            b"CRN" => reported("customer_reference", What::NumberTaken),
            b"CUSTOMER_EMAIL" if holders < MAX_MEMBERS => reported("email", What::Shared),
            b"CUSTOMER_EMAIL" => reported("email", What::Crowded),
            _ => None,
        }
    }
}
