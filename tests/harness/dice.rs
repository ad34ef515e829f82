//! Chance that can be replayed: whoever rolls prints the seed, and `SEED=…` brings the same rolls.

/// What is rolled unless `SEED` says otherwise: a failure of one machine is that of every other.
const DEFAULT_SEED: u64 = 0x0526_2026_1120_1200;

/// The seed of this run, printed for `name`.
pub fn seed(name: &str) -> u64 {
    let seed = match std::env::var("SEED") {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("SEED={text} is no number")),
        Err(_) => DEFAULT_SEED,
    };
    println!("{name}: SEED={seed}");
    seed
}

/// `SplitMix64` (Steele, Lea, Flood 2014): even enough to choose by, and the same everywhere.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice that always roll the same from `seed` on.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `n`, which is not 0.
    pub fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.roll() % n as u64).unwrap()
    }

    /// Whether something happens that happens once in `n` times.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of `items`, of which there are some.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// Any byte.
    pub fn byte(&mut self) -> u8 {
        self.roll().to_le_bytes()[0]
    }

    /// Puts `items` in any order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for n in (1..items.len()).rev() {
            items.swap(n, self.below(n + 1));
        }
    }

    /// Changes `bytes` in one place: a bit, a byte, a cut, a repetition.
    pub fn damage(&mut self, bytes: &mut Vec<u8>) {
        let position = self.below(bytes.len() + 1);
        match (self.below(5), bytes.get_mut(position)) {
            (0, Some(byte)) => *byte ^= 1 << self.below(8),
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
