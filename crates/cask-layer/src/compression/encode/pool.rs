//! Threads that compress blocks, whose results come back in order.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// Blocks that may be under way for each thread: one in work, one waiting.
const BLOCKS_PER_THREAD: usize = 2;

/// Something to compress, in which the result is too.
pub(crate) trait Job: Sized + Send + 'static {
    /// What does it; each thread has one of its own.
    type Tool: Send;

    /// What the threads are called.
    const THREAD: &'static str;

    fn tool(level: i32) -> Self::Tool;

    fn work(&mut self, tool: &mut Self::Tool);
}

/// Compresses blocks on threads of its own, or, with one thread, on the caller's.
///
/// Threads start when there are blocks for them and end when this is dropped, which waits for
/// them: they do nothing but compute, so that takes milliseconds.
pub(crate) struct Pool<B: Job> {
    level: i32,
    /// The caller's own, made when first needed.
    own: Option<B::Tool>,
    max_workers: usize,
    workers: Vec<JoinHandle<()>>,
    /// Where workers take their blocks from.
    queue: Arc<Mutex<Receiver<Ticket<B>>>>,
    jobs: Option<Sender<Ticket<B>>>,
    /// Where the results of all submitted blocks will come from, in order.
    results: VecDeque<Receiver<B>>,
    cancelled: Arc<AtomicBool>,
}

struct Ticket<B> {
    block: B,
    result: SyncSender<B>,
}

impl<B: Job> Pool<B> {
    pub(crate) fn new(level: i32, threads: NonZeroUsize) -> Self {
        let (jobs, queue) = mpsc::channel();
        let max_workers = if threads.get() == 1 { 0 } else { threads.get() };
        Self {
            level,
            own: None,
            max_workers,
            workers: Vec::new(),
            queue: Arc::new(Mutex::new(queue)),
            jobs: Some(jobs),
            results: VecDeque::new(),
            cancelled: Arc::default(),
        }
    }

    /// Hands in a block to be compressed.
    pub(crate) fn submit(&mut self, mut block: B) {
        self.start_worker();
        let (sender, receiver) = mpsc::sync_channel(1);
        self.results.push_back(receiver);
        if self.workers.is_empty() {
            block.work(self.own.get_or_insert_with(|| B::tool(self.level)));
            sender.send(block).expect("the receiver is in the queue");
            return;
        }
        if let Some(jobs) = &self.jobs {
            jobs.send(Ticket { block, result: sender })
                .expect("the queue lives as long as the pool");
        }
    }

    /// Compresses the only or the last block without starting a thread for it.
    pub(crate) fn submit_last(&mut self, block: B) {
        if self.workers.is_empty() {
            self.max_workers = 0;
        }
        self.submit(block);
    }

    /// The next compressed block if it is ready, or if so many are under way that the caller must
    /// wait for it.
    pub(crate) fn next_ready(&mut self) -> Option<B> {
        if self.results.len() > self.workers.len() * BLOCKS_PER_THREAD {
            return self.next();
        }
        match self.results.front()?.try_recv() {
            Ok(block) => {
                self.results.pop_front();
                Some(block)
            }
            Err(mpsc::TryRecvError::Empty) => None,
            Err(mpsc::TryRecvError::Disconnected) => self.propagate_panic(),
        }
    }

    /// Waits for the next compressed block; nothing if none is under way.
    pub(crate) fn next(&mut self) -> Option<B> {
        match self.results.pop_front()?.recv() {
            Ok(block) => Some(block),
            Err(mpsc::RecvError) => self.propagate_panic(),
        }
    }

    /// Whether no block is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.results.is_empty()
    }

    /// Starts one more thread if there may be more. Without a thread to be had, those that exist
    /// do the work, or the caller does: the output is the same.
    fn start_worker(&mut self) {
        if self.workers.len() >= self.max_workers {
            return;
        }
        let queue = Arc::clone(&self.queue);
        let cancelled = Arc::clone(&self.cancelled);
        let level = self.level;
        let worker = thread::Builder::new()
            .name(B::THREAD.into())
            .spawn(move || work::<B>(&queue, &cancelled, level));
        match worker {
            Ok(worker) => self.workers.push(worker),
            Err(_) => self.max_workers = self.workers.len(),
        }
    }

    /// A result that never comes means that its worker panicked.
    fn propagate_panic(&mut self) -> ! {
        self.cancelled.store(true, Ordering::Relaxed);
        self.jobs = None;
        for worker in self.workers.drain(..) {
            if let Err(payload) = worker.join() {
                panic::resume_unwind(payload);
            }
        }
        unreachable!("a worker drops a ticket only by panicking");
    }
}

impl<B: Job> Drop for Pool<B> {
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Relaxed);
        self.jobs = None;
        for worker in self.workers.drain(..) {
            // A panic that nobody waited for any more has already been reported.
            let _ = worker.join();
        }
    }
}

fn work<B: Job>(queue: &Mutex<Receiver<Ticket<B>>>, cancelled: &AtomicBool, level: i32) {
    let mut tool = B::tool(level);
    loop {
        let ticket = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(mut ticket) = ticket else { return };
        if cancelled.load(Ordering::Relaxed) {
            return;
        }
        ticket.block.work(&mut tool);
        // Nobody waits for the result once the pool is being dropped.
        let _ = ticket.result.send(ticket.block);
    }
}

#[cfg(test)]
mod tests {
    use super::super::deflate::Block;
    use super::*;

    fn full_block(byte: u8) -> Block {
        let mut block = Block::new();
        while !block.is_full() {
            block.fill(&[byte; 4096]);
        }
        block
    }

    #[test]
    fn dropping_the_pool_ends_its_threads() {
        for threads in [1, 2, 5] {
            let mut pool = Pool::<Block>::new(6, NonZeroUsize::new(threads).unwrap());
            for byte in 0..8 {
                pool.submit(full_block(byte));
            }
            let alive = Arc::clone(&pool.cancelled);
            drop(pool);
            assert_eq!(Arc::strong_count(&alive), 1, "no thread holds its share");
        }
    }

    #[test]
    fn a_single_block_starts_no_thread() {
        let mut pool = Pool::<Block>::new(6, NonZeroUsize::new(4).unwrap());
        pool.submit_last(full_block(7));
        assert!(pool.workers.is_empty());
        assert!(pool.next().is_some());
        assert!(pool.next().is_none());
    }

    #[test]
    fn blocks_under_way_are_bounded() {
        let mut pool = Pool::<Block>::new(1, NonZeroUsize::new(2).unwrap());
        for byte in 0..50 {
            pool.submit(full_block(byte));
            while pool.next_ready().is_some() {}
            assert!(pool.results.len() <= 2 * BLOCKS_PER_THREAD);
        }
    }
}
