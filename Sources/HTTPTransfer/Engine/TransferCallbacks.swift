import CLibCurl
import Glibc

extension Transfer {
    /// Remembers the first failure.
    func fail(_ kind: HTTPTransferError.Kind, _ message: String) {
        if failure == nil {
            failure = HTTPTransferError(kind, message, host: job.url.origin.authority, requestSent: isRequestSent)
        }
    }

    /// What a response's body may hold.
    var limit: Int64 {
        if case .file(_, _, let limit) = job.sink, isFileStatus { return limit }
        return Int64(job.request.maximumResponseBytes)
    }

    /// The body is the file that was asked for. 206 is not: no range is ever asked for.
    var isFileStatus: Bool { (200..<300).contains(head.status) && head.status != 206 }

    func takeHeader(_ line: UnsafeRawBufferPointer) -> Bool {
        let wasComplete = head.isComplete
        guard head.take(line) else {
            fail(.tooLarge(limit: Int64(ResponseHead.maximumBytes)), "the response's header is longer than 256 KiB")
            return false
        }
        guard head.isComplete, !wasComplete else { return true }
        clock.headComplete(at: .now)
        if job.request.method != .head, let length = head.contentLength, length > limit, !isError {
            failTooLarge(announced: length)
            return false
        }
        return true
    }

    func takeBody(_ bytes: UnsafeRawBufferPointer) -> Bool {
        clock.receivedPiece(at: .now)
        if case .file(let descriptor, let path, let limit) = job.sink, isFileStatus {
            guard bytesWritten + Int64(bytes.count) <= limit else {
                failTooLarge(announced: nil)
                return false
            }
            return write(bytes, descriptor, path)
        }
        if isError {
            body.append(contentsOf: bytes.prefix(Self.maximumErrorBody - body.count))
            isCut = body.count >= Self.maximumErrorBody
            return !isCut
        }
        guard body.count + bytes.count <= job.request.maximumResponseBytes else {
            failTooLarge(announced: nil)
            return false
        }
        body.append(contentsOf: bytes)
        return true
    }

    /// Only the beginning of what a server says about a failure is wanted, so a long one is cut, not refused.
    private var isError: Bool {
        if case .file = job.sink { return !isFileStatus }
        return head.status >= 300
    }

    private func failTooLarge(announced: Int64?) {
        let what = announced.map { "the server announced \($0) bytes" } ?? "the response went on"
        fail(.tooLarge(limit: limit), "\(what), more than the limit of \(limit) bytes")
    }

    private func write(_ bytes: UnsafeRawBufferPointer, _ descriptor: Int32, _ path: String) -> Bool {
        var rest = bytes
        while !rest.isEmpty {
            let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
            if count < 0 {
                let number = errno
                if number == EINTR { continue }
                fail(.file(path: path, errno: number), "writing \(path) failed: \(errorText(number))")
                return false
            }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            bytesWritten += Int64(count)
        }
        return true
    }

    func requestBegins(_ address: UnsafePointer<CChar>?) -> Bool {
        // A connection that was open already, perhaps for the guild itself, is judged here.
        if needsPublicAddress, !PublicAddress.isPublic(address.map { String(cString: $0) } ?? "") {
            failPrivateAddress()
            return false
        }
        if let mayBegin = job.request.mayBegin, !mayBegin() {
            fail(.cancelled, "it was not sent: whoever asked for it may not any more")
            return false
        }
        isRequested = true
        clock.connected(hasBody: unsent > 0, at: .now)
        return true
    }
}

extension Transfer {
    private func failPrivateAddress() {
        fail(
            .privateAddress,
            "the address of \(job.url.origin.authority) is one of the own network, which is not asked")
    }

    /// Before anything is connected to: the address itself, whatever its name meant when somebody else looked.
    func openSocket(_ address: curl_sockaddr, _ text: String) -> Int32 {
        guard !needsPublicAddress || PublicAddress.isPublic(text) else {
            isAddressRefused = true
            return Int32(CURL_SOCKET_BAD)
        }
        let made = socket(address.family, address.socktype | Int32(SOCK_CLOEXEC.rawValue), address.protocol)
        guard made >= 0, !LastDescriptors.contain(made) else {
            if made >= 0 { close(made) }
            lacksDescriptors = true
            return Int32(CURL_SOCKET_BAD)
        }
        return made
    }

    /// No address of the server's was one to connect to, or there was nothing to connect with.
    func nothingConnected() {
        if isAddressRefused { return failPrivateAddress() }
        guard lacksDescriptors else { return }
        fail(.connect, "too few descriptors are left for a connection; check the limit of open files (ulimit -n)")
    }
}

private func transfer(_ context: UnsafeMutableRawPointer) -> Transfer {
    Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
}

func transferHeader(
    _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    guard let context else { return 0 }
    return transfer(context).takeHeader(UnsafeRawBufferPointer(start: bytes, count: size * count)) ? size * count : 0
}

func transferWrite(
    _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    guard let context else { return 0 }
    // Anything but the number given means failure to libcurl; for an empty piece 0 would not.
    let length = size * count
    return transfer(context).takeBody(UnsafeRawBufferPointer(start: bytes, count: length)) ? length : length &- 1
}

func transferPrerequest(
    _ context: UnsafeMutableRawPointer?, _ primary: UnsafeMutablePointer<CChar>?,
    _ local: UnsafeMutablePointer<CChar>?, _ primaryPort: Int32, _ localPort: Int32
) -> Int32 {
    guard let context else { return Int32(CURL_PREREQFUNC_ABORT) }
    return Int32(transfer(context).requestBegins(primary) ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT)
}

func transferOpenSocket(
    _ context: UnsafeMutableRawPointer?, _ purpose: curlsocktype, _ address: UnsafeMutablePointer<curl_sockaddr>?
) -> curl_socket_t {
    guard let context, let address else { return curl_socket_t(CURL_SOCKET_BAD) }
    var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN) + 1)
    let isKnown = withUnsafePointer(to: &address.pointee.addr) { start -> Bool in
        // The structure ends in an address of its own length; what is read lies within it.
        switch address.pointee.family {
        case AF_INET:
            start.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
                var number = $0.pointee.sin_addr
                return inet_ntop(AF_INET, &number, &text, socklen_t(text.count)) != nil
            }
        case AF_INET6 where address.pointee.addrlen >= MemoryLayout<sockaddr_in6>.size:
            UnsafeRawPointer(start).withMemoryRebound(to: sockaddr_in6.self, capacity: 1) {
                var number = $0.pointee.sin6_addr
                return inet_ntop(AF_INET6, &number, &text, socklen_t(text.count)) != nil
            }
        default: false
        }
    }
    let shown = isKnown ? String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self) : ""
    return transfer(context).openSocket(address.pointee, shown)
}
