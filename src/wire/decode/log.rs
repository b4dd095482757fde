//! What holds logs together, read: `head`, `want`, `got`, `recall` and `logs`.

use super::{DecodeError, LogRow, Members, Result, channel, hex, id, need, number};
use crate::values::limits;
use crate::wire::{Got, Head, LogsPage, Recall, Sender, Span, Stretch, Want};

fn span((from, to): (u64, u64), name: &'static str) -> Result<Span> {
    let span = Span { from: number(from, name)?, to: number(to, name)? };
    if span.from > span.to { Err(DecodeError::Member(name)) } else { Ok(span) }
}

impl Members<'_> {
    pub(super) fn head(&self) -> Result<Head> {
        Ok(Head {
            from: self.sender()?,
            channel: channel(self.channel.as_deref())?,
            seq: number(need(self.seq, "seq")?, "seq")?,
            confirm: self.confirm,
        })
    }

    pub(super) fn want(self) -> Result<Want> {
        let gaps = need(self.gaps.as_ref(), "gaps")?;
        if gaps.is_empty() || gaps.len() > limits::WANTED_SPANS {
            return Err(DecodeError::Member("gaps"));
        }
        let gaps: Vec<Span> = gaps.iter().map(|&gap| span(gap, "gaps")).collect::<Result<_>>()?;
        if !gaps.is_sorted_by(|a, b| a.to < b.from) {
            return Err(DecodeError::Member("gaps"));
        }
        let author = need(id(self.author.as_deref(), "author")?, "author")?;
        Ok(Want {
            from: self.sender()?,
            channel: channel(self.channel.as_deref())?,
            author: Sender { id: author, epoch: need(self.run, "run")? },
            attempt: self.attempt,
            gaps,
        })
    }

    /// `after` where it is a number; 0 if it is not there.
    fn after_number(&self) -> Result<u64> {
        let Some(raw) = self.after else { return Ok(0) };
        let seq = serde_json::from_slice(raw.get().as_bytes())
            .map_err(|_| DecodeError::Member("after"))?;
        number(seq, "after")
    }

    pub(super) fn got(&self) -> Result<Got> {
        let author = need(id(self.to.as_deref(), "to")?, "to")?;
        Ok(Got {
            from: self.sender()?,
            author: Sender { id: author, epoch: need(self.run, "run")? },
            channel: channel(self.channel.as_deref())?,
            after: self.after_number()?,
            seq: number(need(self.seq, "seq")?, "seq")?,
        })
    }

    pub(super) fn recall(&self) -> Result<Recall> {
        Ok(Recall {
            from: self.sender()?,
            channel: channel(self.channel.as_deref())?,
            nonce: need(hex(self.nonce.as_deref(), "nonce")?, "nonce")?,
            token: need(hex(self.token.as_deref(), "token")?, "token")?,
            since: self.since.unwrap_or_default(),
            last: need(self.last, "last")?,
            own: self.own,
        })
    }

    pub(super) fn logs(self) -> Result<LogsPage> {
        let stretch = |(author, epoch, from, to, before): LogRow| -> Result<Stretch> {
            let id = need(id(Some(&author), "logs")?, "logs")?;
            let span = span((from.max(1), to), "logs")?;
            if before > to {
                return Err(DecodeError::Member("logs"));
            }
            Ok(Stretch { author: Sender { id, epoch }, from, to: span.to, before })
        };
        let (page, pages) = (need(self.page, "page")?, need(self.pages, "pages")?);
        if page >= pages {
            return Err(DecodeError::Member("pages"));
        }
        Ok(LogsPage {
            from: self.sender()?,
            re: need(hex(self.re.as_deref(), "re")?, "re")?,
            channel: channel(self.channel.as_deref())?,
            page: (page, pages),
            logs: need(self.logs, "logs")?.into_iter().map(stretch).collect::<Result<_>>()?,
        })
    }
}
