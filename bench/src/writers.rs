//! Acknowledged writes a second of one record, by writers inside the server: no socket, no client.

use std::sync::Arc;
use std::time::Duration;

use mesh_server::{Backend, Mesh};
use serde_json::{Value, json};
use tokio::time::Instant;

/// What is measured.
pub(crate) struct Writers {
    /// Server instances.
    pub(crate) instances: usize,
    /// Writers of all instances together, each of which awaits its answer before it writes again.
    pub(crate) count: usize,
    /// Bytes of the record, about.
    pub(crate) size: usize,
    /// How long.
    pub(crate) time: Duration,
}

impl Writers {
    /// Increment one number of one record. Prints one line of JSON.
    pub(crate) async fn run(
        &self,
        backend: impl AsyncFn() -> Result<Arc<dyn Backend>, Box<dyn std::error::Error>>,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let mut meshes = Vec::new();
        for _ in 0..self.instances {
            meshes.push(Mesh::builder().backend(backend().await?).build().await?);
        }
        let record = format!("rec:{}", std::process::id());
        let text = "x".repeat(self.size.saturating_sub(16));
        meshes[0].record(&record).set(&json!({"n": 0, "text": text})).await?;
        let (begun, end) = (Instant::now(), Instant::now() + self.time);
        let writing: Vec<_> = (0..self.count)
            .map(|writer| {
                let (mesh, record) = (meshes[writer % self.instances].clone(), record.clone());
                tokio::spawn(async move {
                    let mut took = Vec::new();
                    while Instant::now() < end {
                        let begun = Instant::now();
                        mesh.record(&record).increment("/n", 1).await?;
                        took.push(begun.elapsed());
                    }
                    Ok::<_, mesh_server::MeshError>(took)
                })
            })
            .collect();
        let mut took = Vec::new();
        for writing in writing {
            took.extend(writing.await??);
        }
        let elapsed = begun.elapsed();
        took.sort_unstable();
        let value: Option<Value> = meshes[0].record(&record).get().await?;
        let sum = value.as_ref().and_then(|value| value["n"].as_u64()).unwrap_or_default();
        assert_eq!(sum, took.len() as u64, "no acknowledged write is lost, none is made twice");
        let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0;
        let line = json!({
            "instances": self.instances, "writers": self.count, "bytes": self.size,
            "writes_per_s": (took.len() as f64 / elapsed.as_secs_f64()).round(),
            "p50_ms": at(0.5), "p99_ms": at(0.99),
        });
        println!("{line}");
        Ok(())
    }
}
