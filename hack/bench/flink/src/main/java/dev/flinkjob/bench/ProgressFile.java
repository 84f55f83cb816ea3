package dev.flinkjob.bench;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Says to a file of its own how many records a subtask has seen, ten times a second, from a thread of its own; the counterpart of
 * jobs/progress-file.ts. One file per attempt, so a restart shows. Lines: {@code count MILLISECONDS RECORDS},
 * {@code first MILLISECONDS} and {@code sample INDEX VALUE...}.
 */
final class ProgressFile implements AutoCloseable {
    private static final long INTERVAL_MILLIS = 100;

    private final PrintWriter file;
    /** Written by the task's thread only, so a lazy set of its own sum is enough and costs no fence. */
    private final AtomicLong records = new AtomicLong();
    private final Thread writer;

    ProgressFile(Path directory, int subtaskIndex) throws IOException {
        Path path = directory.resolve("subtask-" + subtaskIndex + "-" + ProcessHandle.current().pid() + "-" + System.nanoTime() + ".log");
        file = new PrintWriter(Files.newBufferedWriter(path, StandardCharsets.UTF_8));
        writeCount();
        writer = new Thread(this::run, "bench-progress");
        writer.setDaemon(true);
        writer.start();
    }

    void setRecords(long count) {
        records.lazySet(count);
    }

    synchronized void sample(long index, String values) {
        file.println("sample " + index + " " + values);
    }

    /** Says when the first record came, at once. */
    synchronized void firstRecord() {
        file.println("first " + System.currentTimeMillis());
        file.flush();
    }

    @Override
    public void close() {
        writer.interrupt();
        writeCount();
        synchronized (this) {
            file.close();
        }
    }

    private void run() {
        try {
            while (true) {
                Thread.sleep(INTERVAL_MILLIS);
                writeCount();
            }
        } catch (InterruptedException closed) {
            // The last count is written by close().
        }
    }

    private synchronized void writeCount() {
        file.println("count " + System.currentTimeMillis() + " " + records.get());
        file.flush();
        if (file.checkError()) {
            throw new UncheckedIOException(new IOException("the progress file cannot be written"));
        }
    }
}
