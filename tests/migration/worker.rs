//! The process that does a part of the work, and what it says it took.

use std::cell::Cell;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Instant;

use admin::import::{Finding, Input, Place, Watcher, run};
use aws_sdk_dynamodb::Client;
use clap::ValueEnum;
use functions::jobs::migrate::up;
use harness::app::TABLE;
use harness::connector::Connector;
use harness::legacy::file_name;
use shared::app::{App, Parts};
use shared::clock::Clock;
use shared::config::Settings;
use shared::domain::legacy::Source;
use shared::notify::Mailer;
use shared::password::Passwords;
use shared::store::Store;
use shared::store::connect::{Endpoint, config};
use shared::stripe::checkout::Checkout;
use shared::token::KeyRing;

/// Rows between two looks at what was consumed: what is recorded of calls must not fill the memory.
const ROWS: u64 = 200;

/// A part of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Phase {
    Import,
    Up,
}

impl Phase {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::Up => "up",
        }
    }
}

/// What a part of the work took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) rows: u64,
    pub(crate) ambiguous: u64,
    seconds: f64,
    read_units: f64,
    write_units: f64,
    peak_kib: u64,
}

impl Figures {
    /// The line that a process ends with.
    fn line(&self) -> String {
        let Self { rows, ambiguous, seconds, read_units, write_units, peak_kib } = self;
        format!("{rows} {ambiguous} {seconds} {read_units} {write_units} {peak_kib}")
    }

    /// What the line says.
    pub(crate) fn parse(line: &str) -> Self {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [rows, ambiguous, seconds, read_units, write_units, peak_kib] = words.as_slice() else {
            panic!("no figures: {line}")
        };
        Self {
            rows: rows.parse().unwrap(),
            ambiguous: ambiguous.parse().unwrap(),
            seconds: seconds.parse().unwrap(),
            read_units: read_units.parse().unwrap(),
            write_units: write_units.parse().unwrap(),
            peak_kib: peak_kib.parse().unwrap(),
        }
    }

    /// The cells of the report.
    pub(crate) fn cells(&self) -> String {
        let rows = f64::from(u32::try_from(self.rows).unwrap());
        let per = |amount: f64, of: f64| if of > 0.0 { amount / of } else { 0.0 };
        format!(
            "{} | {:.1} | {:.0} | {:.0} | {:.0} | {:.1} | {} MiB",
            self.rows,
            self.seconds,
            per(rows, self.seconds),
            self.read_units,
            self.write_units,
            per(self.write_units, rows),
            self.peak_kib / 1_024,
        )
    }
}

/// What calls consumed so far.
struct Meter {
    connector: Connector,
    read: Cell<f64>,
    write: Cell<f64>,
}

impl Meter {
    fn new(connector: Connector) -> Self {
        connector.start_metering();
        Self { connector, read: Cell::new(0.0), write: Cell::new(0.0) }
    }

    /// Adds up what was recorded, and forgets the calls.
    fn look(&self) {
        let recording = self.connector.take_recording();
        self.connector.start_metering();
        self.read.set(self.read.get() + recording.read_units());
        self.write.set(self.write.get() + recording.write_units());
    }
}

/// Counts rows, and looks at the meter from time to time.
struct Counted<'a> {
    meter: &'a Meter,
    rows: u64,
}

impl Watcher for Counted<'_> {
    fn found(&mut self, _: Place, _: Finding) -> io::Result<()> {
        Ok(())
    }

    fn passed(&mut self, _: u64) {
        self.rows += 1;
        if self.rows.is_multiple_of(ROWS) {
            self.meter.look();
        }
    }
}

/// Does a part of the work on the table at `url`; answers the line of its figures.
pub(crate) async fn work(phase: Phase, url: &str, folder: &Path) -> String {
    let connector = Connector::over_http();
    let app = app(url, &connector);
    let meter = Meter::new(connector);
    let started = Instant::now();
    let (rows, ambiguous) = match phase {
        Phase::Import => {
            let inputs = Source::ALL.map(|source| Input { source, path: folder.join(file_name(source)) });
            let totals = run(&app, &inputs, false, &mut Counted { meter: &meter, rows: 0 }).await.unwrap();
            (totals.imported, 0)
        }
        Phase::Up => {
            let migrated = up(&app, false, |_| meter.look()).await.unwrap();
            assert_eq!((migrated.tally.errors, migrated.remaining), (0, 0), "{migrated:?}");
            (migrated.tally.total, migrated.tally.ambiguous)
        }
    };
    let seconds = started.elapsed().as_secs_f64();
    meter.look();
    let (read_units, write_units) = (meter.read.get(), meter.write.get());
    Figures { rows, ambiguous, seconds, read_units, write_units, peak_kib: peak_kib() }.line()
}

fn app(url: &str, connector: &Connector) -> App {
    let config = config(&Endpoint::local(url)).http_client(connector.clone());
    App::new(Parts {
        settings: Settings::default(),
        store: Store::new(Client::from_conf(config.build()), TABLE),
        clock: Clock::System,
        keys: KeyRing::generate().0,
        passwords: Passwords::new(1),
        webhook_secrets: Vec::new(),
        checkout: Checkout::None,
        stripe: None,
        mailer: Mailer::None,
    })
}

/// The most memory that this process has had.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
