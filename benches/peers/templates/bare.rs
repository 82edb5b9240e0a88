mod rss;

fn main() {
    println!("start_us 0");
    rss::print("idle_rss");
}
