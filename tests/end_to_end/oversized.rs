//! Requests that want more memory than they are worth: large messages, and small images of gigabytes.

use curriculum_proto::v1::{
    self, ImageSample, ImageSamples, PushEnd, PushHeader, PushImagesRequest,
    import_version_request::Part as ImportPart, push_images_request::Part,
};
use curriculum_tests::{
    Home, TestServer,
    calls::{parameters, submission},
    data,
    frames::Frames,
    pictures,
};
use std::path::Path;
use tonic::{Code, Status};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

fn image_message(offset: u64, samples: Vec<ImageSample>) -> PushImagesRequest {
    let mut hasher = crc32fast::Hasher::new();
    for sample in &samples {
        for part in [sample.id.as_bytes(), b"", &sample.image] {
            hasher.update(&(part.len() as u32).to_le_bytes());
            hasher.update(part);
        }
    }
    PushImagesRequest {
        part: Some(Part::Samples(ImageSamples {
            offset,
            samples,
            crc32: hasher.finalize(),
        })),
    }
}

fn push_header(push: &str) -> PushImagesRequest {
    PushImagesRequest {
        part: Some(Part::Header(PushHeader {
            push: push.to_owned(),
            ..PushHeader::default()
        })),
    }
}

/// Small files that claim to be, or are, images of gigabytes.
#[tokio::test]
async fn pushed_bombs_are_failed_samples_and_cost_little() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let good = data::images(60).into_iter().map(|image| image.bytes);
    let bombs = pictures::bombs();
    for bomb in &bombs {
        assert!(bomb.len() < 4 << 20, "{} bytes", bomb.len());
    }
    let count = 60 + bombs.len() as u64;
    let samples = good.chain(bombs.iter().cloned()).enumerate();
    let samples = samples.map(|(index, image)| ImageSample {
        id: format!("{index}"),
        image,
        ..ImageSample::default()
    });
    let mut messages = vec![push_header("p")];
    messages.extend(
        (0..)
            .zip(samples)
            .map(|(index, sample)| image_message(index, vec![sample])),
    );
    messages.push(PushImagesRequest {
        part: Some(Part::End(PushEnd { samples: count })),
    });
    let pushed = server
        .ingest()
        .push_images(tokio_stream::iter(messages))
        .await;
    assert!(pushed.unwrap().into_inner().complete);

    // The model is in memory after this.
    let images = home.path("images.tar");
    data::write_tar(&images, &data::images(60));
    server.publish(submission("good", &images, 2)).await;
    let before = server.peak_bytes();
    let mut request = v1::SubmitJobRequest {
        source: "pushed:p".to_owned(),
        ..submission("c", Path::new(""), 2)
    };
    parameters(&mut request).max_failed_fraction = Some(0.5);
    let job = server.publish(request).await;
    assert_eq!(
        (job.sample_count, job.failed_count),
        (count, bombs.len() as u64)
    );
    for error in server.job(&job.id).await.errors {
        assert!(error.index >= 60, "{error:?}");
    }
    let grown = server.peak_bytes() - before;
    eprintln!("{grown} bytes at most for {} bombs", bombs.len());
    assert!(grown < 64 << 20, "{grown} bytes");
}

#[tokio::test]
async fn oversized_messages_are_refused_by_their_length() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let mut ingest = server.ingest().max_encoding_message_size(64 << 20);
    let listed = v1::ListCurriculaRequest::default;
    server.curricula().list_curricula(listed()).await.unwrap();
    let before = server.peak_bytes();

    let too_large = |outcome: Result<(), Status>, what: &str| {
        let status = outcome.unwrap_err();
        assert_eq!(status.code(), Code::OutOfRange, "{what}: {status}");
        assert!(
            status.message().contains("are the most"),
            "{what}: {status}"
        );
    };
    let mut health = HealthClient::new(server.channel());
    let service = "s".repeat(5 << 10);
    let checked = health.check(HealthCheckRequest { service }).await;
    too_large(checked.map(drop), "a service's name");
    let schedule = v1::GetScheduleRequest {
        curriculum: "c".repeat(300 << 10),
        ..Default::default()
    };
    let scheduled = server.curricula().get_schedule(schedule).await;
    too_large(scheduled.map(drop), "a curriculum's name");
    let submitted = ingest.submit_job(v1::SubmitJobRequest {
        source: "s".repeat(2 << 20),
        ..Default::default()
    });
    too_large(submitted.await.map(drop), "a source");
    let sample = ImageSample {
        id: "a".to_owned(),
        image: vec![0; 37 << 20],
        ..ImageSample::default()
    };
    let messages = [push_header("p"), image_message(0, vec![sample])];
    let pushed = ingest.push_images(tokio_stream::iter(messages)).await;
    too_large(pushed.map(drop), "an image");
    let piece = v1::ImportVersionRequest {
        part: Some(ImportPart::Data(vec![0; 5 << 20])),
    };
    let imported = ingest.import_version(tokio_stream::iter([piece])).await;
    too_large(imported.map(drop), "a piece of a version");

    // Four gigabytes that are announced and never come, a hundred times.
    let mut frames = Frames::greet(server.url());
    for call in 0..100 {
        let path = "/curriculum.v1.IngestService/SubmitJob";
        frames.announce(2 * call + 1, path, u32::MAX).unwrap();
    }
    server.curricula().list_curricula(listed()).await.unwrap();
    let grown = server.peak_bytes() - before;
    eprintln!("{grown} bytes at most");
    assert!(grown < 192 << 20, "{grown} bytes");
}
