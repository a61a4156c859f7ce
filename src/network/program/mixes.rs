//! Products along the channels with which a head begins. They are linear, as RoIAlign is, so that they may be applied to the
//! feature maps before it: a map has fewer places than its RoIs have bins, and RoIAlign then has fewer channels.

use super::Home;
use super::step::{GraphStep, StepKind};
use vetrina_kernels::{RowPlaces, Rows};

/// The steps that read the one input, RoIs of n x side x side x channels, if each of them is a product along the channels, and
/// the k-th of them reads RoI k of every row of RoIs. Otherwise none.
pub(super) fn mixes(steps: &[GraphStep], inputs: &[Vec<usize>]) -> Vec<usize> {
    let [shape] = inputs else { return Vec::new() };
    let (length, channels) = (shape.iter().product::<usize>(), shape.last().copied().unwrap_or(1));
    // Of one RoI: a head that mixes the parts of a RoI by different matrices is none.
    let bins = shape.get(1..shape.len().saturating_sub(1)).map(|sides| sides.iter().product::<usize>());
    let mut readers: Vec<usize> = (0..steps.len()).filter(|step| reads_input(&steps[*step])).collect();
    readers.sort_by_key(|step| product(&steps[*step]).map(|(_, places, _)| places.start));
    let each = readers.len();
    let fits = readers.iter().enumerate().all(|(number, step)| {
        let Some((rows, places, count)) = product(&steps[*step]) else { return false };
        let roi = places.group.checked_mul(channels);
        let apart = Some(places.group) == bins
            && roi.is_some_and(|roi| (places.start, places.jump) == (number * roi, each * roi));
        rows.is_linear() && rows.shape()[0] == channels && count * channels * each == length && (apart || each == 1)
    });
    if fits { readers } else { Vec::new() }
}

/// The products of these steps.
pub(super) fn of<'a>(steps: &'a [GraphStep], mixes: &'a [usize]) -> impl Iterator<Item = &'a Rows> {
    mixes.iter().filter_map(|step| product(&steps[*step])).map(|(rows, ..)| rows)
}

fn reads_input(step: &GraphStep) -> bool {
    step.inputs.iter().any(|(home, _)| matches!(home, Home::Input(_)))
}

fn product(step: &GraphStep) -> Option<(&Rows, RowPlaces, usize)> {
    match &step.kind {
        StepKind::Rows(rows, places, count, false) => Some((rows, *places, *count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Draft, GraphProgram};
    use vetrina_kernels::{Buffer, Level, RowPlaces};

    fn noise(length: usize) -> Vec<f32> {
        (0..length).map(|at| (at * at % 1009) as f32 / 1009.0 - 0.5).collect()
    }

    /// Three rows of two RoIs each, 2 x 2 places of 5 channels: the first RoI of a row is mixed down to 3, the second to 2 channels.
    fn two_mixes(change: impl Fn(&mut Draft, &super::super::Value)) -> GraphProgram {
        let mut draft = Draft::new(Level::new());
        let rois = draft.input(vec![6, 2, 2, 5]).with_shape(vec![3, 2, 2, 2, 5]);
        let mut outputs = Vec::new();
        for (number, channels) in [3, 2].into_iter().enumerate() {
            let part = draft.slice("part", &rois, 1, [number, number + 1]).unwrap();
            let mixed = draft.rows("mix", &part, channels, noise(5 * channels)).unwrap();
            if number == 0 {
                change(&mut draft, &mixed);
            }
            let flat = mixed.with_shape(vec![3, 4 * channels]);
            outputs.push(draft.rows("head", &flat, 4, noise(16 * channels)).unwrap());
        }
        draft.finish(&outputs).unwrap()
    }

    #[test]
    fn a_program_runs_from_the_mixed_rois_as_from_the_rois() {
        let program = two_mixes(|_, _| {});
        let rois = noise(6 * 20);
        let mut mixed = Vec::new();
        for (number, mix) in program.mixes().enumerate() {
            let [inputs, outputs] = mix.shape();
            assert_eq!([inputs, outputs], [5, 3 - number]);
            let mut values = vec![f32::NAN; 12 * outputs];
            let own = RowPlaces { start: number * 20, group: 4, jump: 40 };
            mix.run(&rois, own, 12, false, &mut Buffer::default(), &mut values);
            mixed.push(values);
        }
        let mixed: Vec<&[f32]> = mixed.iter().map(Vec::as_slice).collect();
        assert_eq!(program.run_mixed(&mixed).unwrap(), program.run(&[&rois]));
        assert!(program.run_mixed(&mixed[..1]).is_none() && program.run_mixed(&[mixed[1], mixed[0]]).is_none());
        assert!(program.run_mixed(&[]).is_none());
    }

    #[test]
    fn products_of_the_halves_of_each_roi_are_no_mixes() {
        let mut draft = Draft::new(Level::new());
        let rois = draft.input(vec![6, 2, 2, 5]);
        let outputs = [0, 1].map(|half| {
            let part = draft.slice("part", &rois, 1, [half, half + 1]).unwrap();
            draft.rows("mix", &part, 3, noise(15)).unwrap()
        });
        assert_eq!(draft.finish(&outputs).unwrap().mixes().count(), 0);
    }

    #[test]
    fn a_product_with_a_bias_or_of_whole_rois_is_no_mix() {
        let with_bias = two_mixes(|draft, mixed| assert!(draft.add_bias(mixed, &[0.0, 1.0, 0.0])));
        assert_eq!(with_bias.mixes().count(), 0);
        let clamped = two_mixes(|draft, mixed| assert!(draft.clamp(mixed, [0.0, f32::INFINITY])));
        assert_eq!(clamped.mixes().count(), 0);
        let mut draft = Draft::new(Level::new());
        let flat = draft.input(vec![6, 2, 2, 5]).with_shape(vec![6, 20]);
        let output = draft.rows("head", &flat, 4, noise(80)).unwrap();
        assert_eq!(draft.finish(&[output]).unwrap().mixes().count(), 0);
    }
}
