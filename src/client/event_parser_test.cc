#include "client/event_parser.h"

#include <gtest/gtest.h>

#include <vector>

namespace similis {
namespace {

TEST(EventParser, TheSameEventsHoweverTheBytesArrive) {
  const std::string text =
      ": hello\n\nid: 43\nevent: job\ndata: {\"a\":1}\n\nretry: 10\r\ndata: "
      "two\r\ndata:lines\r\n\r\nevent: empty\n\ndata: cut";
  for (std::size_t step = 1; step <= text.size(); ++step) {
    EventParser parser;
    std::vector<ServerSentEvent> events;
    for (std::size_t at = 0; at < text.size(); at += step) {
      ASSERT_TRUE(
          parser.feed(std::string_view(text).substr(at, step), [&](const ServerSentEvent& event) {
            events.push_back(event);
            return true;
          }));
    }
    ASSERT_EQ(events.size(), 2U) << step;
    EXPECT_EQ(events[0].id, "43");
    EXPECT_EQ(events[0].event, "job");
    EXPECT_EQ(events[0].data, "{\"a\":1}");
    EXPECT_EQ(events[1].data, "two\nlines");
  }
}

TEST(EventParser, StopsWhenAskedTo) {
  EventParser parser;
  int seen = 0;
  EXPECT_FALSE(
      parser.feed("data: 1\n\ndata: 2\n\n", [&](const ServerSentEvent&) { return ++seen < 1; }));
  EXPECT_EQ(seen, 1);
}

}  // namespace
}  // namespace similis
