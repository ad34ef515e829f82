//! The checker of histories, checked: it accepts what can have happened and rejects what cannot.

use harness::history::{Model, Operation, Outcome, is_linearizable};

/// A register that holds one number.
struct Register;

#[derive(Clone, Copy, Debug)]
enum Ask {
    Write(u64),
    Read,
}

impl Model for Register {
    type State = u64;
    type Input = Ask;
    type Output = u64;

    fn start(&self) -> u64 {
        0
    }

    fn step(&self, state: &u64, input: &Ask, output: Option<&u64>) -> Option<u64> {
        match input {
            Ask::Write(value) => Some(*value),
            Ask::Read => output.is_none_or(|seen| seen == state).then_some(*state),
        }
    }
}

/// An operation between two moments.
fn op(begun: u64, ended: u64, input: Ask, outcome: Outcome<u64>) -> Operation<Ask, u64> {
    Operation { input, outcome, begun, ended }
}

fn read(begun: u64, ended: u64, seen: u64) -> Operation<Ask, u64> {
    op(begun, ended, Ask::Read, Outcome::Ok(seen))
}

fn write(begun: u64, ended: u64, value: u64) -> Operation<Ask, u64> {
    op(begun, ended, Ask::Write(value), Outcome::Ok(value))
}

fn accepts(history: &[Operation<Ask, u64>]) -> bool {
    is_linearizable(&Register, history)
}

#[test]
fn what_happened_one_after_another_is_accepted() {
    assert!(accepts(&[]));
    assert!(accepts(&[write(1, 2, 5), read(3, 4, 5), write(5, 6, 7), read(7, 8, 7)]));
}

#[test]
fn a_read_of_what_is_over_is_rejected() {
    assert!(!accepts(&[write(1, 2, 5), write(3, 4, 7), read(5, 6, 5)]));
    assert!(!accepts(&[write(1, 2, 5), read(3, 4, 0)]));
}

#[test]
fn what_overlaps_may_have_happened_in_either_order() {
    assert!(accepts(&[write(1, 10, 5), read(2, 3, 0), read(4, 5, 5)]));
    assert!(accepts(&[write(1, 10, 5), read(2, 3, 5)]));
    assert!(accepts(&[write(1, 10, 5), write(2, 9, 7), read(11, 12, 5)]));
}

#[test]
fn two_readers_never_see_it_go_back() {
    assert!(!accepts(&[write(1, 10, 5), read(2, 3, 5), read(4, 5, 0)]));
    assert!(!accepts(&[write(1, 10, 5), write(2, 9, 7), read(11, 12, 5), read(13, 14, 7)]));
}

#[test]
fn what_failed_never_happened() {
    let failed = op(1, 2, Ask::Write(5), Outcome::Failed);
    assert!(accepts(&[failed.clone(), read(3, 4, 0)]));
    assert!(!accepts(&[failed, read(3, 4, 5)]));
}

#[test]
fn what_nobody_knows_of_may_happen_at_any_time_or_never() {
    let unknown = op(1, 2, Ask::Write(5), Outcome::Unknown);
    assert!(accepts(&[unknown.clone(), read(3, 4, 0)]));
    assert!(accepts(&[unknown.clone(), read(3, 4, 0), read(5, 6, 5)]));
    assert!(!accepts(&[unknown.clone(), read(3, 4, 5), read(5, 6, 0)]));
    let later = op(5, 6, Ask::Write(5), Outcome::Unknown);
    assert!(!accepts(&[read(3, 4, 5), later]), "nothing happens before it begins");
}

#[test]
fn long_histories_are_searched_in_time() {
    let at_once = (0..20).map(|n| write(1, 100, n));
    let reads = (0..20).map(|n| read(101 + 2 * n, 102 + 2 * n, 7));
    assert!(accepts(&at_once.clone().chain(reads.clone()).collect::<Vec<_>>()));
    let odd = [read(200, 201, 8)];
    assert!(!accepts(&(0..10).map(|n| write(1, 100, n)).chain(reads).chain(odd).collect::<Vec<_>>()));
}
