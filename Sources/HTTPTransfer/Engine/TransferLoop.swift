import CLibCurl

/// The transfers under way and those that wait. On the transfer thread only.
final class TransferLoop {
    private let multi: MultiHandle
    private let settings: TransferSettings
    private var admission: Admission
    private var waiting: [UInt64: (job: TransferJob, clock: TransferClock)] = [:]
    private var running: [UInt64: Transfer] = [:]
    private var byHandle: [UnsafeMutableRawPointer: Transfer] = [:]
    /// No deadline is before this; they are looked at one by one only once it has come.
    private var nextCheck: ContinuousClock.Instant?

    init(_ multi: MultiHandle, _ settings: TransferSettings) {
        self.multi = multi
        self.settings = settings
        // An HTTP/2 server allows 100 streams by libcurl's default; a margin is left.
        admission = Admission(.init(perOrigin: settings.maximumConnectionsPerHost, perMultiplexedOrigin: 64))
    }

    func take(_ command: TransferEngine.Command) {
        switch command {
        case .add(let job):
            if job.cancellation.isSet { return job.completion(.failure(cancelled(job, false))) }
            let clock = TransferClock(job.request.deadlines, began: job.began)
            waiting[job.id] = (job, clock)
            watch(clock)
            admission.enqueue(job.id, job.url.origin, isFile: job.isFile)
        case .cancel(let id):
            if let (job, _) = waiting[id] {
                dismiss(job, cancelled(job, false))
            } else if let transfer = running[id] {
                finish(transfer, .failure(cancelled(transfer.job, transfer.isRequestSent)))
            }
        }
    }

    /// Starts what may start, lets libcurl work, delivers what is done, and waits for more.
    func turn() {
        start()
        var active: Int32 = 0
        let code = curl_multi_perform(multi.pointer, &active)
        guard code == CURLM_OK else { return fail(code) }
        let finished = collect()
        checkDeadlines()
        // What ended made room: start that before waiting.
        guard !finished else { return }
        let code2 = curl_multi_poll(multi.pointer, nil, 0, pollMilliseconds(), nil)
        if code2 != CURLM_OK { fail(code2) }
    }

    /// Ends everything with `.shutDown`.
    func end() {
        for transfer in Array(running.values) {
            finish(transfer, .failure(.afterShutdown(transfer.job, requestSent: transfer.isRequestSent)))
        }
        for (job, _) in Array(waiting.values) { dismiss(job, .afterShutdown(job)) }
    }

    private func start() {
        for id in admission.start() {
            guard let (job, _) = waiting.removeValue(forKey: id) else { continue }
            do throws(HTTPTransferError) {
                let transfer = try Transfer(job, settings)
                transfer.clock.admitted(at: .now)
                let code = curl_multi_add_handle(multi.pointer, transfer.easy)
                guard code == CURLM_OK else {
                    throw HTTPTransferError(
                        .other(code: Int(code.rawValue)), String(cString: curl_multi_strerror(code)))
                }
                running[id] = transfer
                byHandle[transfer.easy] = transfer
                watch(transfer.clock)
            } catch {
                admission.finished(job.url.origin, isFile: job.isFile, wasMultiplexed: false)
                job.completion(.failure(error))
            }
        }
    }

    private func collect() -> Bool {
        var easy: UnsafeMutableRawPointer?
        var code = CURLE_OK
        var finished = false
        while clibcurl_multi_next_done(multi.pointer, &easy, &code) {
            guard let easy, let transfer = byHandle[easy] else { continue }
            finish(transfer, transfer.result(code))
            finished = true
        }
        return finished
    }

    private func finish(_ transfer: Transfer, _ result: Result<TransferOutcome, HTTPTransferError>) {
        let job = transfer.job
        let wasMultiplexed = transfer.wasMultiplexed
        curl_multi_remove_handle(multi.pointer, transfer.easy)
        running[job.id] = nil
        byHandle[transfer.easy] = nil
        admission.finished(job.url.origin, isFile: job.isFile, wasMultiplexed: wasMultiplexed)
        job.completion(result)
    }

    private func dismiss(_ job: TransferJob, _ error: HTTPTransferError) {
        waiting[job.id] = nil
        admission.remove(job.id, job.url.origin)
        job.completion(.failure(error))
    }

    private func cancelled(_ job: TransferJob, _ requestSent: Bool) -> HTTPTransferError {
        HTTPTransferError(.cancelled, "cancelled", host: job.url.origin.authority, requestSent: requestSent)
    }

    /// The multi handle itself failed; libcurl promises nothing about what it holds, so nothing is left in it.
    private func fail(_ code: CURLMcode) {
        let reason = "libcurl's multi handle failed: " + String(cString: curl_multi_strerror(code))
        for transfer in Array(running.values) {
            let error = HTTPTransferError(
                .other(code: Int(code.rawValue)), reason, host: transfer.job.url.origin.authority,
                requestSent: transfer.isRequestSent)
            finish(transfer, .failure(error))
        }
    }

    // MARK: - Deadlines

    private func watch(_ clock: TransferClock) {
        guard let deadline = clock.deadline?.at else { return }
        nextCheck = nextCheck.map { min($0, deadline) } ?? deadline
    }

    private func checkDeadlines() {
        let now = ContinuousClock.now
        // Phases change inside libcurl's callbacks, and a new one may end sooner than the old one would have.
        for transfer in running.values where transfer.clock.hasChanged {
            transfer.clock.hasChanged = false
            watch(transfer.clock)
        }
        guard let check = nextCheck, check <= now else { return }
        nextCheck = nil
        for transfer in Array(running.values) {
            guard let (at, phase) = transfer.clock.deadline else { continue }
            if at <= now {
                finish(transfer, .failure(timedOut(transfer.job, phase, transfer.isRequestSent)))
            } else {
                watch(transfer.clock)
            }
        }
        for (job, clock) in Array(waiting.values) {
            guard let (at, phase) = clock.deadline else { continue }
            if at <= now { dismiss(job, timedOut(job, phase, false)) } else { watch(clock) }
        }
    }

    private func pollMilliseconds() -> Int32 {
        guard let nextCheck else { return 60_000 }
        let left = ContinuousClock.now.duration(to: nextCheck)
        guard left > .zero else { return 0 }
        return Int32(clamping: min(left.milliseconds + 1, 60_000))
    }

    private func timedOut(_ job: TransferJob, _ phase: HTTPTransferError.Phase, _ sent: Bool) -> HTTPTransferError {
        let deadlines = job.request.deadlines
        let message =
            switch phase {
            case .connect: "no connection within \(deadlines.connect)"
            case .firstByte: "no answer within \(deadlines.firstByte)"
            case .stall: "nothing was received or sent for \(deadlines.stall)"
            case .total: "not finished within \(deadlines.total ?? .zero)"
            }
        return HTTPTransferError(.timedOut(phase), message, host: job.url.origin.authority, requestSent: sent)
    }
}
