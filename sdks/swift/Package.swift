// swift-tools-version: 6.0
import PackageDescription

let package = Package(
    name: "StemSplitter",
    platforms: [.macOS(.v12), .iOS(.v15), .tvOS(.v15), .watchOS(.v8)],
    products: [.library(name: "StemSplitter", targets: ["StemSplitter"])],
    targets: [
        .target(name: "StemSplitter"),
        .executableTarget(name: "Driver", dependencies: ["StemSplitter"]),  // of the conformance suite
        .testTarget(name: "StemSplitterTests", dependencies: ["StemSplitter"]),
    ]
)
