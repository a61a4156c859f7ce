//! PAM, the format requested from `ffmpeg`: a short header, then RGB, or RGBA if the stream has alpha.

use super::MAX_PIXELS;
use super::alpha::on_white;
use crate::frame::Picture;
use crate::geometry::Size;

/// The longest accepted header, bytes.
const MAX_HEADER: usize = 256;

/// The last line of a header.
const END: &[u8] = b"ENDHDR\n";

/// A picture's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Length of the header itself, bytes.
    pub length: usize,
    pub size: Size,
    /// 3: RGB; 4: RGB and alpha.
    channels: usize,
}

/// ffmpeg's output arguments: 8 bits per channel for any stream. `filter` is applied before the conversion.
pub fn output_arguments(filter: Option<String>) -> Vec<String> {
    // ffmpeg chooses the format nearest to the stream's: RGBA only if it has alpha.
    let filters: Vec<String> = filter.into_iter().chain(["format=rgb24|rgba".to_owned()]).collect();
    ["-an", "-vf", &filters.join(","), "-f", "image2pipe", "-c:v", "pam", "-"].map(str::to_owned).to_vec()
}

impl Header {
    /// Parses the header at the beginning of `bytes`; `None` while it is incomplete.
    ///
    /// # Errors
    /// The error: "sends no pictures".
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, &'static str> {
        const NONE: &str = "sends no pictures";
        let head = &bytes[..bytes.len().min(MAX_HEADER)];
        if !head.starts_with(&b"P7\n"[..head.len().min(3)]) {
            return Err(NONE);
        }
        let Some(end) = head.windows(END.len()).position(|window| window == END) else {
            return if head.len() == MAX_HEADER { Err(NONE) } else { Ok(None) };
        };
        let text = std::str::from_utf8(&head[..end]).map_err(|_| NONE)?;
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<usize>().ok());
        let (Some(width @ 1..), Some(height @ 1..)) = (field("WIDTH "), field("HEIGHT ")) else { return Err(NONE) };
        let (Some(channels @ 3..=4), Some(255)) = (field("DEPTH "), field("MAXVAL ")) else {
            return Err("sends pictures of another format than it was asked for");
        };
        if width.saturating_mul(height) > MAX_PIXELS {
            return Err("sends pictures with too many pixels");
        }
        Ok(Some(Header { length: end + END.len(), size: Size::new(width, height), channels }))
    }

    /// Length of the pixels after the header, bytes.
    pub fn body(&self) -> usize {
        self.channels * self.size.width * self.size.height
    }

    /// The picture, composited on white.
    ///
    /// # Panics
    /// If the length of `body` differs from [`Header::body`].
    pub fn picture(&self, body: Vec<u8>) -> Picture {
        Picture::new(self.size, if self.channels == 4 { on_white(&body) } else { body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(width: &str, height: &str, depth: &str, maximum: &str) -> Vec<u8> {
        format!("P7\nWIDTH {width}\nHEIGHT {height}\nDEPTH {depth}\nMAXVAL {maximum}\nTUPLTYPE RGB\nENDHDR\n")
            .into_bytes()
    }

    #[test]
    fn headers_are_complete_or_incomplete_or_refused() {
        let whole = header("3", "2", "3", "255");
        let expected = Header { length: whole.len(), size: Size::new(3, 2), channels: 3 };
        assert_eq!(Header::parse(&[&whole[..], b"ab"].concat()), Ok(Some(expected)));
        for cut in 0..whole.len() {
            assert_eq!(Header::parse(&whole[..cut]), Ok(None), "{cut}");
        }
        let wrong = [
            b"P6\n3 2\n255\n".to_vec(),
            vec![b'x'; 999],
            [b"P7\n".as_slice(), &[b'#'; MAX_HEADER]].concat(),
            header("0", "2", "3", "255"),
            header("99999", "99999", "3", "255"),
            header("3", "2", "1", "255"),
            header("3", "2", "3", "65535"),
        ];
        for wrong in wrong {
            assert!(Header::parse(&wrong).is_err(), "{}", String::from_utf8_lossy(&wrong));
        }
    }

    #[test]
    fn transparent_pictures_are_on_white() {
        let picture = |depth: &str, body: &[u8]| {
            let header = Header::parse(&header("1", "1", depth, "255")).unwrap().unwrap();
            assert_eq!(header.body(), body.len());
            header.picture(body.to_vec()).rgb().to_vec()
        };
        assert_eq!(picture("3", b"abc"), b"abc");
        assert_eq!(picture("4", &[9, 9, 9, 0]), [255; 3]);
    }
}
