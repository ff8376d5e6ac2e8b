//! Drawing fates: at random, or with exact rates.
//!
//! Exact rates make tests and the demo deterministic: after n draws the number of each kind
//! differs from n times its ratio by less than one, for all kinds at once. That is the chairman
//! assignment problem; the rule used is R. Tijdeman's ("The chairman assignment problem",
//! Discrete Mathematics 32, 1980): among the kinds that are due, take the one whose deadline
//! comes first. With k kinds in play its deviation never exceeds 1 - 1/(2k - 2).

use rand::RngExt;
use rand::rngs::StdRng;

use super::kind::Kind;

/// How the next fate is chosen.
#[derive(Clone, Debug)]
pub(super) enum Draw {
    /// Independent draws.
    Random,
    /// Error diffusion: how far each kind is behind its due count.
    Exact([f64; Kind::COUNT]),
}

impl Draw {
    /// A fresh drawer, exact or random.
    pub(super) const fn new(exact: bool) -> Self {
        if exact { Self::Exact([0.0; Kind::COUNT]) } else { Self::Random }
    }

    /// Forgets what is due: the ratios have changed.
    pub(super) fn restart(&mut self) {
        match self {
            Self::Random => {}
            Self::Exact(behind) => *behind = [0.0; Kind::COUNT],
        }
    }

    /// The next kind under these ratios, which sum to 1.
    pub(super) fn next(&mut self, ratios: &[f64; Kind::COUNT], rng: &mut StdRng) -> Kind {
        match self {
            Self::Random => at_random(ratios, rng.random()),
            Self::Exact(behind) => most_urgent(ratios, behind),
        }
    }
}

/// The kind at this point, 0 to 1, of the ratios laid end to end.
fn at_random(ratios: &[f64; Kind::COUNT], point: f64) -> Kind {
    let mut end = 0.0;
    for kind in Kind::ALL {
        end += ratios[kind.index()];
        if point < end {
            return kind;
        }
    }
    // Rounding left the sum a hair below 1.
    Kind::Ok
}

/// Tijdeman's rule; brings `behind` up to date.
fn most_urgent(ratios: &[f64; Kind::COUNT], behind: &mut [f64; Kind::COUNT]) -> Kind {
    for (due, ratio) in behind.iter_mut().zip(ratios) {
        *due += ratio;
    }
    let in_play = ratios.iter().filter(|ratio| **ratio > 0.0).count();
    let slack = if in_play < 2 { 0.0 } else { 1.0 / (2 * in_play - 2) as f64 };
    let deadline = |kind: Kind| (1.0 - slack - behind[kind.index()]) / ratios[kind.index()];
    let due = Kind::ALL
        .into_iter()
        .filter(|kind| ratios[kind.index()] > 0.0 && behind[kind.index()] >= slack)
        .min_by(|a, b| deadline(*a).total_cmp(&deadline(*b)));
    // Rounding may hide the one that is due: it is then the one furthest behind.
    let kind = due.unwrap_or_else(|| {
        Kind::ALL
            .into_iter()
            .max_by(|a, b| behind[a.index()].total_cmp(&behind[b.index()]))
            .expect("there are kinds")
    });
    behind[kind.index()] -= 1.0;
    kind
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::super::weather::Weather;
    use super::*;

    fn counts_stay_near(settings: &[(&str, f64)], draws: u32) {
        let ratios = *Weather::default().changed(settings).unwrap().ratios();
        let mut rng = StdRng::seed_from_u64(1);
        let mut draw = Draw::new(true);
        let mut counts = [0u32; Kind::COUNT];
        for n in 1..=draws {
            counts[draw.next(&ratios, &mut rng).index()] += 1;
            for kind in Kind::ALL {
                let expected = f64::from(n) * ratios[kind.index()];
                let difference = f64::from(counts[kind.index()]) - expected;
                assert!(difference.abs() < 1.0, "{settings:?} {n} {kind:?} {difference}");
            }
        }
    }

    #[test]
    fn exact_counts_never_leave_their_ratio_by_one() {
        counts_stay_near(&[], 100);
        counts_stay_near(&[("overloaded", 1.0)], 100);
        counts_stay_near(&[("overloaded", 0.001)], 20_000);
        counts_stay_near(&[("overloaded", 0.07), ("stream_overloaded", 0.02)], 20_000);
        counts_stay_near(&[("unavailable", 0.5), ("reset", 0.5)], 1_000);
        counts_stay_near(
            &[
                ("slow", 0.01),
                ("overloaded", 0.31),
                ("stream_overloaded", 0.03),
                ("rate_limited", 0.17),
                ("quota_exhausted", 0.002),
                ("billing", 0.004),
                ("auth", 0.03),
                ("unavailable", 0.11),
                ("server_error", 0.07),
                ("reset", 0.05),
                ("stream_reset", 0.09),
            ],
            20_000,
        );
    }

    #[test]
    fn random_points_fall_where_the_ratios_say() {
        let ratios = *Weather::default().changed(&[("overloaded", 0.25)]).unwrap().ratios();
        assert_eq!(at_random(&ratios, 0.0), Kind::Ok);
        assert_eq!(at_random(&ratios, 0.7499), Kind::Ok);
        assert_eq!(at_random(&ratios, 0.7501), Kind::Overloaded);
        assert_eq!(at_random(&ratios, 1.0), Kind::Ok);
    }
}
