import Testing

@testable import GefsServer

@Suite struct WorkerPoolTests {
    private final class Job: PoolJob {
        let body: @Sendable () -> Void

        init(_ body: @escaping @Sendable () -> Void) {
            self.body = body
        }

        func run() { body() }
    }

    @Test func `jobs run at once as far as there are threads, and all of them run`() {
        let pool = WorkerPool(threadsMax: 3)
        let running = TestCondition((now: 0, most: 0, done: 0, isHeld: true))
        for _ in 0..<20 {
            pool.submit(
                Job {
                    running.change { state in
                        state.now += 1
                        state.most = max(state.most, state.now)
                    }
                    running.wait { !$0.isHeld }
                    running.change { state in
                        state.now -= 1
                        state.done += 1
                    }
                })
        }
        running.wait { $0.now == 3 }
        running.change { $0.isHeld = false }
        pool.shutDown()
        running.change { state in
            #expect(state.done == 20)
            #expect(state.most == 3)
        }
    }

    @Test func `a pool that is shut down lets the caller run the job`() {
        let pool = WorkerPool(threadsMax: 1)
        pool.shutDown()
        let isDone = TestCondition(false)
        pool.submit(Job { isDone.change { $0 = true } })
        #expect(isDone.change { $0 })
    }
}
