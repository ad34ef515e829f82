//! The corpora of the fuzz targets, replayed and shaken a little, and that there is one of each.

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use harness::parsers::{BODIES, Check, TARGETS};
use harness::rng::{Rng, seed};

/// A corpus of fewer seeds is none.
const MIN_SEEDS: usize = 10;

/// How often each seed is damaged.
const DAMAGES: usize = 20;

/// Longer seeds are only replayed.
const MAX_DAMAGED_BYTES: usize = 4_096;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// The names in `folder`, without their extensions.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned()).collect()
}

fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = fuzz().join("corpus").join(target);
    names(&folder).into_iter().map(|name| (name.clone(), fs::read(folder.join(name)).unwrap())).collect()
}

/// Checks `data`, saying what it was if it fails.
fn run(check: Check, data: &[u8], what: &str) {
    let survived = catch_unwind(AssertUnwindSafe(|| check(data)));
    assert!(survived.is_ok(), "{what}: {:?}", String::from_utf8_lossy(&data[..data.len().min(MAX_DAMAGED_BYTES)]));
}

#[test]
fn every_target_has_its_binary_and_its_corpus() {
    let targets: BTreeSet<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(targets, names(&fuzz().join("fuzz_targets")));
    assert_eq!(targets, names(&fuzz().join("corpus")));
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for target in targets {
        assert!(manifest.contains(&format!("[[bin]]\nname = \"{target}\"")), "{target} is not built");
        assert!(seeds(&target).len() >= MIN_SEEDS, "{target} has {} seeds", seeds(&target).len());
    }
}

#[test]
fn every_request_type_is_fuzzed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("functions/src/endpoints");
    let mut read = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let bodies = text.split("JsonBody<").skip(1);
        read.extend(bodies.filter_map(|rest| Some(rest.split_once('>')?.0.to_owned())));
    }
    let fuzzed: BTreeSet<_> = BODIES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(read, fuzzed);
}

#[test]
fn every_seed_keeps_the_properties() {
    let mut replayed = 0;
    for (target, check) in TARGETS {
        for (name, data) in seeds(target) {
            run(*check, &data, &format!("{target}/{name}"));
            replayed += 1;
        }
    }
    println!("{replayed} seeds");
}

#[test]
fn seeds_that_are_damaged_keep_the_properties() {
    let seed = seed("damaged seeds");
    for (target, check) in TARGETS {
        let mut rng = Rng::new(seed);
        for (name, data) in seeds(target).into_iter().filter(|(_, data)| data.len() <= MAX_DAMAGED_BYTES) {
            for n in 0..DAMAGES {
                let mut damaged = data.clone();
                for _ in 0..=rng.below(4) {
                    rng.damage(&mut damaged);
                }
                run(*check, &damaged, &format!("{target}/{name}, damage {n}, SEED={seed}"));
            }
        }
    }
}
