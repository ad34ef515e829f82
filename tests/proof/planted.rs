//! Does the programme notice anything? Bugs are planted one at a time, and each must be caught.
//! Nothing is caught where nothing is planted.

use futures::StreamExt;
use futures::stream::iter;

use crate::WIDTH;
use crate::plants::{PLANTS, Plant};
use crate::probes::{PROBES, run};
use crate::schedules::Schedule;

/// Moments of a probe: the calls, from the first on, at which a process is held.
const MOMENTS: u64 = 12;

/// Seeds within which a bug must be caught, and that must be quiet while nothing is planted: every moment of
/// every probe.
const SEEDS: u64 = MOMENTS * PROBES as u64;

/// Random schedules that a bug is planted in.
const SCHEDULES: u64 = 200;

/// The first seed that catches `plant`, and what it saw. Seeds of other probes are passed over: a
/// probe is the same whoever asks for it.
async fn caught(plant: &'static Plant) -> Option<(u64, String)> {
    println!("planted: {}", plant.name);
    let seeds = (0..SEEDS).skip(plant.probe).step_by(PROBES);
    for seed in seeds {
        if let Err(seen) = run(seed, Some(plant)).await {
            return Some((seed, seen));
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn every_planted_bug_is_caught() {
    let runs = iter(PLANTS).map(|plant| async move { (plant.name, caught(plant).await) });
    let runs: Vec<_> = runs.buffered(WIDTH).collect().await;
    for (name, caught) in &runs {
        match caught {
            Some((seed, seen)) => println!("{name}: caught by seed {seed}: {seen}"),
            None => println!("{name}: not caught"),
        }
    }
    let missed: Vec<_> = runs.iter().filter(|(_, caught)| caught.is_none()).map(|(name, _)| name).collect();
    assert!(missed.is_empty(), "not caught at {MOMENTS} moments: {missed:?}");
    assert!(runs.len() >= 26, "{}", runs.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_caught_where_nothing_is_planted() {
    let runs = iter(0..SEEDS).map(|seed| async move { run(seed, None).await.err().map(|seen| (seed, seen)) });
    let alarms: Vec<_> = runs.buffer_unordered(WIDTH).filter_map(std::future::ready).collect().await;
    assert!(alarms.is_empty(), "{alarms:#?}");
}

/// Not every bug shows in a random schedule: some need a moment that chance hardly finds. This says
/// which do.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "up to 200 schedules for each of 26 bugs take an hour"]
async fn most_planted_bugs_are_caught_by_random_schedules_too() {
    let mut count = 0;
    for plant in PLANTS {
        let runs = iter(0..SCHEDULES)
            .map(|seed| async move { Schedule::of(seed).run(Some(plant)).await.is_err().then_some(seed) })
            .buffered(WIDTH);
        let first = Box::pin(runs.filter_map(std::future::ready)).next().await;
        println!("{}: {first:?}", plant.name);
        count += usize::from(first.is_some());
    }
    println!("{count} of {} by random schedules alone", PLANTS.len());
    assert!(count >= 12, "{count}");
}
