//! Chance that can be replayed: whoever draws prints the seed, and `SEED=…` brings the same choices again,
//! everywhere.
//!
//! `SplitMix64` (Steele, Lea, Flood 2014): even enough to choose by. What a seed gives must stay as it is:
//! `tests/legacy/` was made from one.

/// The seed unless `SEED` says otherwise: a failure of one machine is that of every other.
const DEFAULT_SEED: u64 = 0x0526_2026_1120_1200;

/// The seed of this run, printed for `name`.
pub fn seed(name: &str) -> u64 {
    let seed = seed_to_replay().unwrap_or(DEFAULT_SEED);
    println!("{name}: SEED={seed}");
    seed
}

/// The seed in the variable `SEED`, for those who else try many, or one of their own.
pub fn seed_to_replay() -> Option<u64> {
    let text = std::env::var("SEED").ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("SEED={text} is no number")))
}

/// The seeds of many runs: the first `volume`, those of `SEEDS=from..to`, so that they can be shared out, or `SEED`
/// alone.
pub fn seeds(volume: u64) -> std::ops::Range<u64> {
    if let Some(seed) = seed_to_replay() {
        return seed..seed + 1;
    }
    let Ok(text) = std::env::var("SEEDS") else { return 0..volume };
    let bounds = text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    bounds.unwrap_or_else(|| panic!("SEEDS={text} is no `from..to`"))
}

/// A sequence of choices.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The sequence of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The sequence of number `n` of many under one seed.
    pub fn numbered(seed: u64, n: u64) -> Self {
        let mut rng = Self(seed ^ n.wrapping_mul(0xd6e8_feb8_6659_fd93));
        rng.draw();
        rng
    }

    /// Any number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `n`, which is not 0.
    pub fn below(&mut self, n: u64) -> u64 {
        self.draw() % n
    }

    /// A place among `n`, which is not 0.
    pub fn place(&mut self, n: usize) -> usize {
        usize::try_from(self.below(n as u64)).unwrap()
    }

    /// Any byte.
    pub fn byte(&mut self) -> u8 {
        self.draw().to_le_bytes()[0]
    }

    /// A UUID of version 4.
    pub fn uuid(&mut self) -> String {
        let (high, low) = (self.draw(), self.draw());
        uuid::Builder::from_random_bytes((u128::from(high) << 64 | u128::from(low)).to_be_bytes())
            .into_uuid()
            .to_string()
    }

    /// Whether something happens that happens once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// Whether something happens that happens `percent` times in a hundred.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of `items`, of which there are some.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.place(items.len())]
    }

    /// `n` of several, in the order in which they come out of the hat; all if there are fewer.
    pub fn sample<T>(&mut self, mut of: Vec<T>, n: usize) -> Vec<T> {
        let n = n.min(of.len());
        for at in 0..n {
            let other = at + self.place(of.len() - at);
            of.swap(at, other);
        }
        of.truncate(n);
        of
    }

    /// Puts `items` in any order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for n in (1..items.len()).rev() {
            items.swap(n, self.place(n + 1));
        }
    }

    /// Changes `bytes` in one place: a bit, a byte, a cut, a repetition.
    pub fn damage(&mut self, bytes: &mut Vec<u8>) {
        let position = self.place(bytes.len() + 1);
        match (self.below(5), bytes.get_mut(position)) {
            (0, Some(byte)) => *byte ^= 1 << self.place(8),
            (1, Some(byte)) => *byte = self.byte(),
            (2, Some(_)) => drop(bytes.remove(position)),
            (3, Some(_)) => bytes.truncate(position),
            (4, Some(_)) => {
                let rest = bytes[position..].to_vec();
                bytes.extend(rest);
            }
            (_, _) => bytes.insert(position, self.byte()),
        }
    }
}
