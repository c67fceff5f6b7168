import GatewayControl
import JSONBytes

/// The callbacks of all instances of one channel.
final class PluginEvents: ModuleEvents {
    private let router: Router
    private let slots: AccountSlots
    private let moduleLog: ModuleLog

    init(router: Router, slots: AccountSlots, moduleLog: ModuleLog) {
        self.router = router
        self.slots = slots
        self.moduleLog = moduleLog
    }

    func deliver(_ delivery: [UInt8], from module: ModuleGeneration) -> DeliveryAnswer { router.deliver(delivery) }

    func accountChanged(_ status: [UInt8], from module: ModuleGeneration) {
        guard let tree = JSONValue.parsed(status), let account = tree["accountId"]?.string else { return }
        slots.report(account, tree, from: module)
    }

    func log(level: Int32, record: [UInt8], from module: ModuleGeneration) {
        moduleLog.write(level: level, record: record, generation: module)
    }
}
