//! The peers and this crate on one store, in turns and at the same time.

use std::collections::BTreeSet;

use cask_storage::{
    CheckOptions, Container, DriverKind, ErrorKind, Id, NewContainer, PruneOptions, Store,
};

use crate::support::{Entry, TestImage, TestStore, peers_are_there, skopeo, tar};
use crate::writing::put;

/// How many operations the walk has.
const STEPS: u32 = 200;

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }
}

/// A layer of one file and a whiteout.
fn layer(name: &str) -> Vec<u8> {
    tar(&[
        Entry::Directory("d/"),
        Entry::File(&format!("d/{name}"), name.repeat(1000).as_bytes()),
        Entry::File("d/.wh.gone", b""),
    ])
}

/// Images that share layers.
fn images() -> Vec<TestImage> {
    let chains: [&[&str]; 4] = [&["a"], &["a", "b"], &["a", "b", "c"], &["d", "b"]];
    let image = |names: &[&str]| {
        let layers: Vec<Vec<u8>> = names.iter().map(|name| layer(name)).collect();
        TestImage::new(&layers)
    };
    chains.into_iter().map(image).collect()
}

struct Walk {
    peers: TestStore,
    store: Store,
    images: Vec<TestImage>,
    layouts: Vec<String>,
    dice: Dice,
}

impl Walk {
    fn new() -> Self {
        let peers = TestStore::new(DriverKind::Overlay);
        let images = images();
        let layout = |(number, image): (usize, &TestImage)| {
            image.write_layout(&peers.directory().join(format!("layout{number}")))
        };
        let layouts = images.iter().enumerate().map(layout).collect();
        let store = peers.open();
        Self { peers, store, images, layouts, dice: Dice(0x9E37_79B9_7F4A_7C15) }
    }

    fn some_name(&mut self) -> String {
        format!("localhost/img{}:{}", self.dice.below(4), self.dice.below(3))
    }

    fn some_image(&mut self) -> Option<Id> {
        let images = self.store.images().unwrap();
        let number = self.dice.below(images.len().max(1));
        images.get(number).map(|image| image.id.clone())
    }

    fn some_container(&mut self) -> Option<Container> {
        let containers = self.store.containers().unwrap();
        let number = self.dice.below(containers.len().max(1));
        containers.get(number).cloned()
    }

    /// Does something, one way or the other; says what.
    fn step(&mut self) -> String {
        let (what, ours) = (self.dice.below(10), self.dice.below(2) == 0);
        let said = match what {
            0..3 => self.store_image(ours),
            3 => self.tag(ours),
            4 => self.untag(ours),
            5 | 6 => self.delete(ours),
            7 => self.make_container(ours),
            8 => self.delete_container(ours),
            _ => self.mount_or_prune(ours),
        };
        format!("{said} by {}", if ours { "us" } else { "a peer" })
    }

    fn store_image(&mut self, ours: bool) -> String {
        let (number, name) = (self.dice.below(self.images.len()), self.some_name());
        match ours {
            true => drop(put(&self.store, &self.images[number], &name)),
            false => drop(skopeo(&["copy", "-q", &self.layouts[number], &self.peers.name(&name)])),
        }
        format!("image {number} is stored as {name}")
    }

    fn tag(&mut self, ours: bool) -> String {
        let (Some(id), name) = (self.some_image(), self.some_name()) else {
            return "nothing is tagged".to_owned();
        };
        match ours {
            true => self.store.add_names(&id, std::slice::from_ref(&name)).unwrap(),
            false => drop(self.peers.podman(&["tag", id.as_str(), &name])),
        }
        format!("{id} is tagged {name}")
    }

    fn untag(&mut self, ours: bool) -> String {
        let Some(id) = self.some_image() else { return "nothing is untagged".to_owned() };
        match ours {
            true => self.store.set_names(&id, &[]).unwrap(),
            false => drop(self.peers.podman(&["untag", id.as_str()])),
        }
        format!("{id} is untagged")
    }

    fn delete(&mut self, ours: bool) -> String {
        let Some(id) = self.some_image() else { return "nothing is deleted".to_owned() };
        let is_used = !self.store.containers_of_image(&id).unwrap().is_empty();
        match ours {
            true => match self.store.delete_image(&id) {
                Err(error) if is_used => assert_eq!(error.kind(), ErrorKind::InUse),
                deleted => drop(deleted.unwrap()),
            },
            false => {
                let done = self.peers.peer("podman", &["image", "rm", "--no-prune", id.as_str()]);
                let several = self.store.image(&id).unwrap().is_some_and(|i| i.names.len() > 1);
                assert!(done.status.success() || is_used || several, "{done:?}");
            }
        }
        format!("{id} is deleted")
    }

    fn make_container(&mut self, ours: bool) -> String {
        let Some(id) = self.some_image() else { return "no container is made".to_owned() };
        match ours {
            true => {
                drop(self.store.create_container(&NewContainer::new(Some(id.clone()))).unwrap())
            }
            false => drop(self.peers.buildah(&["from", "--pull-never", id.as_str()])),
        }
        format!("a container is made of {id}")
    }

    fn delete_container(&mut self, ours: bool) -> String {
        let Some(container) = self.some_container() else {
            return "no container is deleted".to_owned();
        };
        let id = container.id.clone();
        match ours {
            true => drop(self.store.delete_container(&id).unwrap()),
            // Buildah knows its own only.
            false if container.names.is_empty() => {
                self.peers.podman(&["rm", "-f", id.as_str()]);
            }
            false => drop(self.peers.buildah(&["rm", id.as_str()])),
        }
        format!("container {id} is deleted")
    }

    fn mount_or_prune(&mut self, ours: bool) -> String {
        let Some(id) = self.some_image() else { return "nothing is mounted".to_owned() };
        if ours && self.dice.below(2) == 0 {
            let mut options = PruneOptions::default();
            options.older_than = std::time::Duration::ZERO;
            assert_eq!(self.store.prune(&options).unwrap().removed, []);
            return "the store is pruned".to_owned();
        }
        match ours {
            true => {
                let path = self.store.mount_image(&id).unwrap();
                assert!(path.join("d").is_dir());
                self.peers.podman(&["image", "unmount", id.as_str()]);
            }
            false => {
                let path = self.peers.podman(&["image", "mount", id.as_str()]);
                assert!(std::path::Path::new(&path).join("d").is_dir());
                assert!(!self.store.unmount_image(&id, false).unwrap());
            }
        }
        format!("{id} is mounted and unmounted")
    }

    /// Asserts that the store is whole, and that podman sees the same.
    fn check(&self, said: &[String]) {
        let mut options = CheckOptions::default();
        options.verify_data = true;
        options.verify_layers = true;
        let problems = self.store.check(&options).unwrap();
        assert!(problems.is_empty(), "{problems:?}\n{said:#?}");
        for file in ["overlay-layers/layers.lock", "overlay-images/images.lock"] {
            let length = std::fs::metadata(self.peers.root().join(file)).unwrap().len();
            assert_eq!(length, 64, "{file}");
        }
        let listed = self.peers.podman(&["images", "-a", "-q", "--no-trunc"]);
        let listed: BTreeSet<&str> =
            listed.lines().filter_map(|l| l.strip_prefix("sha256:")).collect();
        let images = self.store.images().unwrap();
        let ours: BTreeSet<&str> = images.iter().map(|image| image.id.as_str()).collect();
        assert_eq!(listed, ours, "{said:#?}");
    }
}

#[test]
fn two_hundred_operations_by_whoever_leave_a_whole_store() {
    if !peers_are_there() {
        return;
    }
    let mut walk = Walk::new();
    let mut said = Vec::new();
    for _ in 0..STEPS {
        said.push(walk.step());
        walk.check(&said);
    }
}

/// One of eight: stores an image of its own upon shared layers again and again, names it and takes
/// the name away, with whichever tool.
///
/// Its names are its own, too: skopeo 1.9 and podman 4.3 lose names that others give to an image at
/// the same time.
fn work(peers: &TestStore, worker: usize) {
    let store = peers.open();
    for round in 0..4 {
        let own = format!("own{worker}-{}", round / 2);
        let image = TestImage::new(&[layer("base"), layer("more"), layer(&own)]);
        let layout = image.write_layout(&peers.directory().join(format!("layout-{own}-{round}")));
        let name = format!("localhost/w{worker}:{round}");
        let also = format!("localhost/also{worker}:{round}");
        let id = || store.image_by_name(&name).unwrap().unwrap().id.clone();
        match (worker + round) % 2 {
            0 => drop(put(&store, &image, &name)),
            _ => drop(skopeo(&["copy", "-q", &layout, &peers.name(&name)])),
        }
        match worker % 2 {
            0 => drop(peers.podman(&["tag", &name, &also])),
            _ => store.add_names(&id(), &[also]).unwrap(),
        }
        match round % 2 {
            0 => drop(peers.podman(&["untag", &name, &name])),
            _ => store.remove_names(&id(), std::slice::from_ref(&name)).unwrap(),
        }
    }
}

#[test]
fn eight_at_the_same_time_lose_nothing() {
    if !peers_are_there() {
        return;
    }
    let walk = Walk::new();
    std::thread::scope(|scope| {
        let peers = &walk.peers;
        (0..8).for_each(|worker| drop(scope.spawn(move || work(peers, worker))));
    });
    walk.check(&[]);
    let store = walk.peers.open();
    let images = store.images().unwrap();
    assert_eq!(images.len(), 16);
    let names: BTreeSet<&str> =
        images.iter().flat_map(|image| &image.names).map(String::as_str).collect();
    let expected: Vec<String> =
        (0..8).flat_map(|w| (0..4).map(move |r| format!("localhost/also{w}:{r}"))).collect();
    assert_eq!(names, expected.iter().map(String::as_str).collect());
    for image in &images {
        store.delete_image(&image.id).unwrap();
    }
    assert!(walk.peers.driver_entries().is_empty());
}
