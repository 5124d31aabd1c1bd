//! From the best matches to a passage of whole sentences or words around them.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::ruler::{Ruler, ceil, floor};

/// A passage of whole sentences takes at least this part of the length.
const SENTENCES_SHARE: usize = 2;
/// So does a passage that begins inside of a sentence and ends with one: all but this part.
const LAST_SENTENCE_SHARE: usize = 4;
/// Up to this part of the length is given up to end a passage at white space.
const WHITE_SPACE_SHARE: usize = 4;
/// Characters behind the max length that are looked at to tell whether a word or sentence ends
/// there.
const LOOK_AHEAD: usize = 32;

/// The beginning of a text.
pub(super) fn beginning(text: &str, length: usize, ruler: &Ruler) -> Range<usize> {
    let start = text.len() - text.trim_start().len();
    let start = ceil(text, start);
    passage(text, &(start..start), &(start..text.len()), length, ruler)
}

/// A passage around the core, which is in a free range of the text, no longer than `length`. The
/// end of a longer core is cut off; nothing is left when its first cluster is longer. All bounds
/// are those of grapheme clusters.
pub(super) fn passage(
    text: &str,
    core: &Range<usize>,
    free: &Range<usize>,
    length: usize,
    ruler: &Ruler,
) -> Range<usize> {
    let shown = core.start..ruler.forward(text, core.clone(), length);
    if shown.is_empty() && !core.is_empty() {
        return shown;
    }
    let core = shown;
    let room = Room::new(text, core, free, length, ruler);
    let passage = room.whole_sentences().unwrap_or_else(|| room.words());
    room.trimmed(passage)
}

/// Where a passage may begin and end.
struct Room<'a> {
    text: &'a str,
    ruler: &'a Ruler,
    length: usize,
    free: &'a Range<usize>,
    core: Range<usize>,
    /// The length that is left for what is around the core.
    spare: usize,
    /// The passage is inside of this range, if it goes to one side of the core only.
    widest: Range<usize>,
    /// The beginnings of sentences before the core, and the ends of sentences behind it.
    starts: Vec<usize>,
    ends: Vec<usize>,
}

impl<'a> Room<'a> {
    fn new(
        text: &'a str,
        core: Range<usize>,
        free: &'a Range<usize>,
        length: usize,
        ruler: &'a Ruler,
    ) -> Self {
        let spare = length.saturating_sub(ruler.measure(&text[core.clone()]));
        let low = ruler.backward(text, free.start..core.start, spare);
        let high = ruler.forward(text, core.end..free.end, spare);
        let mut room = Self {
            text,
            ruler,
            length,
            free,
            core,
            spare,
            widest: low..high,
            starts: Vec::new(),
            ends: Vec::new(),
        };
        room.find_sentences();
        room
    }

    /// The text from a place up to a little behind the widest passage.
    fn ahead(&self, from: usize) -> &'a str {
        let behind = self.text[self.widest.end..].chars().take(LOOK_AHEAD);
        let behind: usize = behind.map(char::len_utf8).sum();
        &self.text[from..self.widest.end + behind]
    }

    fn find_sentences(&mut self) {
        let low = self.widest.start;
        let ahead = self.ahead(low);
        let is_last = low + ahead.len() == self.text.len();
        for (at, sentence) in ahead.split_sentence_bound_indices() {
            let (start, visible) = (low + at, sentence.trim_end().len());
            if visible == 0 {
                continue;
            }
            let is_start = at > 0 || low == self.free.start;
            if is_start && start <= self.core.start {
                self.starts.push(start);
            }
            let is_whole = is_last || at + sentence.len() < ahead.len();
            let end = start + visible;
            if is_whole && self.core.end <= end && end <= self.widest.end {
                self.ends.push(end);
            }
        }
    }

    /// The longest passage of whole sentences, if that is not much shorter than it may be.
    fn whole_sentences(&self) -> Option<Range<usize>> {
        let mut best: Option<(usize, Range<usize>)> = None;
        let mut behind = Vec::with_capacity(self.ends.len());
        let (mut at, mut width) = (self.core.end, 0usize);
        for end in &self.ends {
            width = width.saturating_add(self.ruler.measure(&self.text[at..*end]));
            at = *end;
            behind.push(width);
        }
        let (mut at, mut before) = (self.core.start, 0usize);
        for start in self.starts.iter().rev() {
            before = before.saturating_add(self.ruler.measure(&self.text[*start..at]));
            at = *start;
            let Some(left) = self.spare.checked_sub(before) else {
                break;
            };
            let fitting = behind.partition_point(|width| *width <= left);
            let Some(last) = fitting.checked_sub(1) else {
                continue;
            };
            let width = before + behind[last];
            if best.as_ref().is_none_or(|(most, _)| width > *most) {
                best = Some((width, *start..self.ends[last]));
            }
        }
        let (width, passage) = best?;
        let total = width + (self.length - self.spare);
        (total >= self.length / SENTENCES_SHARE).then_some(passage)
    }

    /// A passage with the core in its middle that ends between words.
    fn words(&self) -> Range<usize> {
        let behind = self
            .ruler
            .measure(&self.text[self.core.end..self.widest.end]);
        // What the end of the text leaves unused goes to the front.
        let front = (self.spare / 2).max(self.spare.saturating_sub(behind));
        let low = self
            .ruler
            .backward(self.text, self.free.start..self.core.start, front);
        let sentence = self.starts.iter().find(|start| **start >= low);
        let start = sentence.map_or_else(|| self.word_start(low), |start| *start);
        let before = self.ruler.measure(&self.text[start..self.core.start]);
        let left = self.spare.saturating_sub(before);
        let high = self
            .ruler
            .forward(self.text, self.core.end..self.free.end, left);
        let sentence = self.ends.iter().rfind(|end| **end <= high);
        let is_long = |end: &usize| {
            let lost = self.ruler.measure(&self.text[*end..high]);
            lost <= self.length / LAST_SENTENCE_SHARE
        };
        match sentence.filter(|end| is_long(end)) {
            Some(end) => start..*end,
            None => start..self.word_end(high),
        }
    }

    /// The first place between words from a place on, before the core.
    fn word_start(&self, low: usize) -> usize {
        let (text, core) = (self.text, self.core.start);
        if low == self.free.start || text[..low].ends_with(char::is_whitespace) {
            return low;
        }
        let near = self
            .ruler
            .forward(text, low..core, self.length / WHITE_SPACE_SHARE);
        if let Some((at, space)) = text[low..near].char_indices().find(|c| c.1.is_whitespace()) {
            return low + at + space.len_utf8();
        }
        // The first piece may be a part of a word.
        let next = text[low..core].split_word_bound_indices().nth(1);
        next.map_or(low, |(at, _)| low + at)
    }

    /// The last place between words up to a place, behind the core.
    fn word_end(&self, high: usize) -> usize {
        let (text, core) = (self.text, self.core.end);
        if high == self.free.end || text[high..].starts_with(char::is_whitespace) {
            return high;
        }
        let near = self
            .ruler
            .backward(text, core..high, self.length / WHITE_SPACE_SHARE);
        if let Some(at) = text[near..high].rfind(char::is_whitespace) {
            return near + at;
        }
        let bounds = self.ahead(core).split_word_bound_indices();
        let bounds = bounds.map(|(at, _)| core + at).skip(1);
        let last = bounds.take_while(|bound| *bound <= high).last();
        last.unwrap_or(high)
    }

    /// A passage without white space at its ends, of whole clusters.
    fn trimmed(&self, passage: Range<usize>) -> Range<usize> {
        let (text, core) = (self.text, &self.core);
        let before = &text[passage.start.min(core.start)..core.start];
        let behind = &text[core.end..passage.end.max(core.end)];
        let start = core.start - before.trim_start().len();
        let end = core.end + behind.trim_end().len();
        let (start, end) = (ceil(text, start), floor(text, end));
        start.min(core.start)..end.max(core.end)
    }
}
