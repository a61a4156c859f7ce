//! Detections of one query or shop picture: everything that a protocol needs, so that the network runs once.

use crate::geometry::{Rect, Size};
use crate::seam::{Detection, Embedding};

/// One garment in one frame.
#[derive(Clone, Debug)]
pub struct FrameDetection {
    /// Frame number in the clip.
    pub frame: u64,
    pub detection: Detection,
    /// Nothing was found: the whole frame stands for a garment (docs/seam.md §4).
    pub substitute: bool,
}

/// Detections in the selected frames of a clip, or in one picture.
#[derive(Clone, Debug)]
pub struct DetectionRecord {
    /// Size of the pictures.
    pub size: Size,
    /// Numbers of the recognized frames, ascending.
    pub frames: Vec<u64>,
    /// By frame; within a frame, best score first.
    pub detections: Vec<FrameDetection>,
}

/// First bytes of an encoded record. The number changes with the format.
const MAGIC: &[u8; 12] = b"vetrina-ev1\n";

impl DetectionRecord {
    /// Encodes the record, little-endian.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        let number = |bytes: &mut Vec<u8>, value: usize| bytes.extend((value as u32).to_le_bytes());
        for value in [self.size.width, self.size.height, self.frames.len(), self.detections.len()] {
            number(&mut bytes, value);
        }
        self.frames.iter().for_each(|frame| bytes.extend(frame.to_le_bytes()));
        for seen in &self.detections {
            let detection = &seen.detection;
            bytes.extend(seen.frame.to_le_bytes());
            number(&mut bytes, usize::from(seen.substitute));
            number(&mut bytes, detection.class);
            let mut values = detection.bounds.corners().to_vec();
            values.push(detection.score);
            values.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
            for embedding in [&detection.match_embedding, &detection.aggregation_embedding] {
                number(&mut bytes, embedding.len());
                embedding.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
            }
        }
        bytes
    }

    /// Decodes bytes written by [`DetectionRecord::encode`]; `None` for any other bytes.
    pub fn decode(bytes: &[u8]) -> Option<DetectionRecord> {
        let mut reader = Reader(bytes.strip_prefix(MAGIC)?);
        let [width, height, frames, seen] = [reader.number()?, reader.number()?, reader.number()?, reader.number()?];
        let frames = (0..frames).map(|_| reader.long()).collect::<Option<Vec<u64>>>()?;
        let detections = (0..seen).map(|_| reader.seen()).collect::<Option<Vec<FrameDetection>>>()?;
        reader.0.is_empty().then_some(DetectionRecord { size: Size::new(width, height), frames, detections })
    }
}

/// The rest of an encoded record.
struct Reader<'b>(&'b [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<usize> {
        self.take().map(|bytes| u32::from_le_bytes(bytes) as usize)
    }

    fn long(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn float(&mut self) -> Option<f32> {
        self.take().map(f32::from_le_bytes)
    }

    fn embedding(&mut self) -> Option<Embedding> {
        let length = self.number().filter(|length| 4 * length <= self.0.len())?;
        (0..length).map(|_| self.float()).collect::<Option<Vec<f32>>>().map(Embedding::from)
    }

    fn seen(&mut self) -> Option<FrameDetection> {
        let frame = self.long()?;
        let (substitute, class) = (self.number()? != 0, self.number()?);
        let [x1, y1, x2, y2, score] = [self.float()?, self.float()?, self.float()?, self.float()?, self.float()?];
        let (match_embedding, aggregation_embedding) = (self.embedding()?, self.embedding()?);
        let bounds = Rect::new(x1, y1, x2, y2);
        let detection = Detection { bounds, class, score, match_embedding, aggregation_embedding };
        Some(FrameDetection { frame, detection, substitute })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_round_trips_and_a_truncated_one_is_refused() {
        let detection = Detection {
            bounds: Rect::new(1.0, 2.5, 30.0, 40.0),
            class: 7,
            score: 0.75,
            match_embedding: [1.0, -2.0].into(),
            aggregation_embedding: [3.0].into(),
        };
        let detections = vec![FrameDetection { frame: 5, detection, substitute: true }];
        let bytes = DetectionRecord { size: Size::new(640, 480), frames: vec![5, 9], detections }.encode();
        let back = DetectionRecord::decode(&bytes).unwrap();
        assert_eq!(back.encode(), bytes);
        assert_eq!((back.size, back.frames.len(), back.detections[0].frame), (Size::new(640, 480), 2, 5));
        assert!(back.detections[0].substitute && back.detections[0].detection.match_embedding.as_ref() == [1.0, -2.0]);
        assert!((0..bytes.len()).all(|end| DetectionRecord::decode(&bytes[..end]).is_none()));
        assert!(DetectionRecord::decode(&[bytes, vec![0]].concat()).is_none());
    }
}
