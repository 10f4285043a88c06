//! Redis' protocol, as much as a test needs.

use std::io;
use std::net::Ipv4Addr;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// What a Redis answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A text of either kind.
    Text(String),
    /// A number.
    Number(i64),
    /// An error.
    Error(String),
    /// Nothing.
    Nil,
    /// A list.
    List(Vec<Self>),
}

impl Reply {
    /// The text that it is.
    ///
    /// # Panics
    /// If it is none.
    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            other => panic!("no text: {other:?}"),
        }
    }

    /// The texts of the list that it is.
    ///
    /// # Panics
    /// If it is none.
    pub fn texts(&self) -> Vec<String> {
        match self {
            Self::List(list) => list.iter().map(|item| item.text().to_owned()).collect(),
            other => panic!("no list: {other:?}"),
        }
    }
}

/// Ask the Redis on a port, on a connection for this alone.
pub(super) async fn ask(port: u16, words: &[&str]) -> io::Result<Reply> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    let mut text = format!("*{}\r\n", words.len());
    for word in words {
        text += &format!("${}\r\n{word}\r\n", word.len());
    }
    stream.write_all(text.as_bytes()).await?;
    read(&mut BufReader::new(stream)).await
}

async fn read(from: &mut BufReader<TcpStream>) -> io::Result<Reply> {
    let mut line = String::new();
    from.read_line(&mut line).await?;
    let strange = || io::Error::new(io::ErrorKind::InvalidData, format!("no reply: {line:?}"));
    let rest = line.get(1..).ok_or_else(strange)?.trim_end();
    let number = || rest.parse::<i64>().map_err(|_| strange());
    Ok(match line.as_bytes()[0] {
        b'+' => Reply::Text(rest.to_owned()),
        b'-' => Reply::Error(rest.to_owned()),
        b':' => Reply::Number(number()?),
        b'$' | b'*' if number()? < 0 => Reply::Nil,
        b'$' => {
            let mut text = vec![0; number()? as usize + 2];
            from.read_exact(&mut text).await?;
            text.truncate(text.len() - 2);
            Reply::Text(String::from_utf8_lossy(&text).into_owned())
        }
        b'*' => {
            let mut list = Vec::new();
            for _ in 0..number()? {
                list.push(Box::pin(read(from)).await?);
            }
            Reply::List(list)
        }
        _ => return Err(strange()),
    })
}
