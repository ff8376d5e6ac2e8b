//! Bytes to lines: gzip told by its first two bytes, lines of bounded length.

use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};

use flate2::bufread::MultiGzDecoder;

/// Longest line that is read: a native outcome may carry an error body, but no more than that.
const LINE_BYTES_MAX: usize = 1 << 20;
/// The two bytes every gzip member begins with (RFC 1952, section 2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const BUFFER_BYTES: usize = 1 << 16;

type Peeked<R> = Chain<Cursor<Vec<u8>>, R>;

/// The lines of an input.
pub(super) struct Lines<R: Read> {
    reader: Reader<R>,
    line: Vec<u8>,
}

enum Reader<R: Read> {
    Plain(BufReader<Peeked<R>>),
    Gzip(Box<BufReader<MultiGzDecoder<BufReader<Peeked<R>>>>>),
}

/// What the next line is.
pub(super) enum Line<'a> {
    Text(&'a [u8]),
    TooLong,
    End,
}

impl<R: Read> Lines<R> {
    /// Looks at the first bytes to see whether they are compressed.
    pub(super) fn open(mut input: R) -> io::Result<Self> {
        let mut head = Vec::with_capacity(GZIP_MAGIC.len());
        input.by_ref().take(GZIP_MAGIC.len() as u64).read_to_end(&mut head)?;
        let gzip = head == GZIP_MAGIC;
        let plain = BufReader::with_capacity(BUFFER_BYTES, Cursor::new(head).chain(input));
        let reader = if gzip {
            let inflated = MultiGzDecoder::new(plain);
            Reader::Gzip(Box::new(BufReader::with_capacity(BUFFER_BYTES, inflated)))
        } else {
            Reader::Plain(plain)
        };
        Ok(Self { reader, line: Vec::new() })
    }

    /// The next line, without bounds on how many there are.
    pub(super) fn next(&mut self) -> io::Result<Line<'_>> {
        match &mut self.reader {
            Reader::Plain(reader) => next_line(reader, &mut self.line),
            Reader::Gzip(reader) => next_line(reader, &mut self.line),
        }
    }
}

fn next_line<'a>(reader: &mut impl BufRead, line: &'a mut Vec<u8>) -> io::Result<Line<'a>> {
    line.clear();
    let limit = LINE_BYTES_MAX as u64 + 1;
    if reader.by_ref().take(limit).read_until(b'\n', line)? == 0 {
        return Ok(Line::End);
    }
    if line.last() == Some(&b'\n') || line.len() <= LINE_BYTES_MAX {
        return Ok(Line::Text(line));
    }
    reader.skip_until(b'\n')?;
    Ok(Line::TooLong)
}
