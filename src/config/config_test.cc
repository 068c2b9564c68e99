#include "config/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <set>

#include "config/keys.h"

namespace similis {
namespace {

using testing::HasSubstr;

class ConfigTest : public testing::Test {
 protected:
  ConfigTest() {
    std::string name = (std::filesystem::temp_directory_path() / "similis-config-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) std::abort();
    home_ = name;
    sources_.environment["HOME"] = name;
  }
  ~ConfigTest() override {
    std::error_code ignored;  // a folder left in /tmp fails no test
    std::filesystem::remove_all(home_, ignored);
  }

  std::filesystem::path write(const std::string& name, std::string_view text) const {
    const std::filesystem::path path = home_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
    return path;
  }

  [[nodiscard]] Config loaded() const {
    Result<Config> config = Config::load(sources_);
    EXPECT_TRUE(config.ok()) << config.error().message;
    return std::move(config).value();
  }
  [[nodiscard]] Error error() const {
    const Result<Config> config = Config::load(sources_);
    EXPECT_FALSE(config.ok());
    return config.ok() ? Error() : config.error();
  }
  /// The error of a user's file with this text.
  Error file_error(std::string_view text) {
    write(".config/similis/config.toml", text);
    return error();
  }
  static std::string source_of(const Config& config, std::string_view key) {
    for (const ConfigValue& value : config.describe()) {
      if (value.key == key) return value.source;
    }
    return "no such key";
  }
  static std::string value_of(const Config& config, std::string_view key) {
    for (const ConfigValue& value : config.describe()) {
      if (value.key == key) return value.value;
    }
    return "no such key";
  }

  std::filesystem::path home_;
  ConfigSources sources_;
};

TEST_F(ConfigTest, DefaultsFollowTheUsersFolders) {
  EXPECT_EQ(loaded().settings().data_dir, home_ / ".local/share/similis");
  sources_.environment["XDG_DATA_HOME"] = "/data";
  EXPECT_EQ(loaded().settings().data_dir, "/data/similis");
  sources_.environment["XDG_DATA_HOME"] = "relative is ignored";
  EXPECT_EQ(loaded().settings().data_dir, home_ / ".local/share/similis");
  sources_.environment.clear();
  EXPECT_THAT(error().hint, HasSubstr("--data-dir"));
  sources_.flags["data_dir"] = "/d";
  EXPECT_EQ(loaded().settings().data_dir, "/d");
}

TEST_F(ConfigTest, FlagBeatsEnvironmentBeatsFileBeatsDefault) {
  EXPECT_EQ(source_of(loaded(), "server.listen"), "default");
  const auto file =
      write(".config/similis/config.toml", "\n[server]\nlisten = \"127.0.0.1:1\"\nthreads = 7\n");
  Config config = loaded();
  EXPECT_EQ(config.settings().server.listen, "127.0.0.1:1");
  EXPECT_EQ(source_of(config, "server.listen"), file.string() + ":3");
  EXPECT_EQ(config.settings().server.threads, 7);

  const auto inner = write(".local/share/similis/config.toml", "server.listen = \"127.0.0.1:2\"\n");
  config = loaded();
  EXPECT_EQ(config.settings().server.listen, "127.0.0.1:2");
  EXPECT_EQ(source_of(config, "server.listen"), inner.string() + ":1");
  EXPECT_EQ(config.settings().server.threads, 7);
  EXPECT_THAT(config.files(), testing::ElementsAre(file, inner));

  sources_.environment["SIMILIS_SERVER_LISTEN"] = "127.0.0.1:3";
  config = loaded();
  EXPECT_EQ(config.settings().server.listen, "127.0.0.1:3");
  EXPECT_EQ(source_of(config, "server.listen"), "SIMILIS_SERVER_LISTEN");

  sources_.flags["server.listen"] = "127.0.0.1:4";
  config = loaded();
  EXPECT_EQ(config.settings().server.listen, "127.0.0.1:4");
  EXPECT_EQ(source_of(config, "server.listen"), "--listen");
}

TEST_F(ConfigTest, ANamedFileIsReadAlone) {
  write(".config/similis/config.toml", "server.threads = 7\n");
  write("d/config.toml", "server.threads = 8\n");
  const auto file = write("mine.toml", "data_dir = \"~/d\"\n");
  sources_.environment["SIMILIS_CONFIG"] = file.string();
  EXPECT_EQ(loaded().settings().server.threads, 0);
  EXPECT_EQ(loaded().settings().data_dir, home_ / "d");
  sources_.file = home_ / "absent.toml";
  EXPECT_EQ(error().code, ErrorCode::not_found);
  EXPECT_THAT(error().message, HasSubstr("absent.toml"));
}

TEST_F(ConfigTest, TheDataFolderMayHaveAFileWherevereItIs) {
  write("d/config.toml", "limits.pixels_max = \"1M\"\n");
  sources_.environment["SIMILIS_DATA_DIR"] = (home_ / "d").string();
  EXPECT_EQ(loaded().settings().limits.pixels_max, 1'000'000);
  write("d/config.toml", "data_dir = \"/elsewhere\"\n");
  EXPECT_THAT(error().message, HasSubstr("cannot be set by a file inside it"));
}

TEST_F(ConfigTest, ReadsEveryKindOfValue) {
  write(".config/similis/config.toml", R"(
data_dir = "~/pictures data"
collection = "holidays"
[server]
allow_hosts = ["pictures.example", "tunnel.example"]
allowed_roots = ["~/Pictures", "/srv/"]
keys_see_paths = true
[decode]
memory_max = "512MB"
time_max = "1.5s"
workers = "auto"
[limits]
pixels_max = 300_000_000
file_bytes_max = 1048576
)");
  const Settings settings = loaded().settings();
  EXPECT_EQ(settings.data_dir, home_ / "pictures data");
  EXPECT_EQ(settings.collection, "holidays");
  EXPECT_THAT(settings.server.allow_hosts,
              testing::ElementsAre("pictures.example", "tunnel.example"));
  EXPECT_THAT(settings.server.allowed_roots,
              testing::ElementsAre((home_ / "Pictures").string(), "/srv"));
  EXPECT_TRUE(settings.server.keys_see_paths);
  EXPECT_EQ(settings.decode.memory_max, 512 << 20);
  EXPECT_EQ(settings.decode.time_max, std::chrono::milliseconds(1500));
  EXPECT_EQ(settings.decode.workers, 0);
  EXPECT_EQ(settings.limits.pixels_max, 300'000'000);
  EXPECT_EQ(settings.limits.file_bytes_max, 1 << 20);

  sources_.environment["SIMILIS_SERVER_ALLOWED_ROOTS"] = "/a:/b/c";
  sources_.environment["SIMILIS_SERVER_ALLOW_HOSTS"] = "x.example,y.example";
  sources_.environment["SIMILIS_INDEX_MEMORY_MAX"] = "auto";
  EXPECT_THAT(loaded().settings().server.allowed_roots, testing::ElementsAre("/a", "/b/c"));
  EXPECT_THAT(loaded().settings().server.allow_hosts,
              testing::ElementsAre("x.example", "y.example"));
  EXPECT_EQ(value_of(loaded(), "index.memory_max"), "auto");
}

TEST_F(ConfigTest, UnknownKeysNameTheNearest) {
  Error wrong = file_error("[server]\nlisen = \"127.0.0.1:1\"\n");
  EXPECT_EQ(wrong.code, ErrorCode::invalid_argument);
  EXPECT_THAT(wrong.message, HasSubstr("config.toml:2: unknown key `server.lisen`"));
  EXPECT_EQ(wrong.hint, "Did you mean \"server.listen\"?");
  wrong = file_error("[sever]\nlisten = \"127.0.0.1:1\"\n");
  EXPECT_THAT(wrong.message, HasSubstr("unknown key `sever`"));
  EXPECT_THAT(file_error("server = 5\n").message, HasSubstr("server must be a table"));
  EXPECT_THAT(file_error("[collection]\nname = 5\n").message,
              HasSubstr("collection has a value of the wrong type"));
}

TEST_F(ConfigTest, WrongValuesSayWhatIsExpected) {
  EXPECT_THAT(file_error("limits.file_bytes_max = \"many\"").message,
              HasSubstr("limits.file_bytes_max \"many\" is not a number of bytes"));
  EXPECT_THAT(file_error("decode.time_max = 20").message, HasSubstr("not a duration such as"));
  EXPECT_THAT(file_error("decode.time_max = \"5h\"").message,
              HasSubstr("is 5h, must be from 100ms to 1h"));
  EXPECT_THAT(file_error("limits.pixels_max = 0").message, HasSubstr("must be from 1 to"));
  EXPECT_THAT(file_error("decode.workers = 2.5").message, HasSubstr("wrong type"));
  EXPECT_THAT(file_error("server.keys_see_paths = \"yes\"").message,
              HasSubstr("must be true or false"));
  EXPECT_THAT(file_error("server.allow_hosts = \"a\"").message, HasSubstr("must be a list"));
  EXPECT_THAT(file_error("server.listen = [\"a\"]").message, HasSubstr("is one value, not a list"));
  EXPECT_EQ(file_error("model.precision = \"fp32\"").hint, "Did you mean \"f32\"?");
  EXPECT_THAT(file_error("collection = \"Büro\"").message, HasSubstr("collection"));
  EXPECT_THAT(file_error("data_dir = \"pictures\"").message, HasSubstr("absolute path"));
  EXPECT_THAT(file_error("server.listen = ").message, HasSubstr("config.toml:1"));
  for (const char* address :
       {"8420", ":8420", "a:b", "a:70000", "::1:80", "a b:80", "http://a:80", "[]:80"}) {
    EXPECT_THAT(file_error("server.listen = \"" + std::string(address) + "\"").message,
                HasSubstr("ADDRESS:PORT"))
        << address;
  }
  write(".config/similis/config.toml", "server.listen = \"[::1]:0\"");
  EXPECT_EQ(loaded().settings().server.listen, "[::1]:0");
  sources_.environment["SIMILIS_MODEL_THREADS"] = "lots";
  EXPECT_THAT(error().message,
              HasSubstr("SIMILIS_MODEL_THREADS: model.threads \"lots\" is not a whole number"));
}

TEST_F(ConfigTest, MistypedVariablesAreNoticedForeignOnesAreNot) {
  sources_.environment["SIMILIS_SOMETHING_ELSE_ENTIRELY"] = "1";
  sources_.environment["SIMILIS_SHARE_DIR"] = "/usr/share/similis";
  sources_.environment["SIMILIS_SHARED_DIR"] = "/pictures of tests";
  sources_.environment["SIMILIS_COLLECTION"] = "";  // as good as none
  EXPECT_EQ(loaded().settings().collection, "");
  sources_.environment["SIMILIS_DATADIR"] = "/d";
  EXPECT_EQ(error().hint, "Did you mean \"SIMILIS_DATA_DIR\"?");
}

TEST_F(ConfigTest, DefaultFileIsTheManualAndHoldsTheDefaults) {
  const std::string text = Config::default_file();
  std::set<std::string> tables;
  std::string active;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_LE(line.size(), 110u) << line;
    // "#key = value" is a setting, "# text" an explanation.
    const bool setting = line.size() > 1 && line[0] == '#' && line[1] != ' ';
    if (!line.empty() && line[0] == '[') {
      EXPECT_TRUE(tables.insert(line).second) << line << " comes twice";
    }
    active += (setting ? line.substr(1) : line) + "\n";
  }
  for (const Key& key : all_keys()) EXPECT_GT(key.doc.size(), 20u) << key.name;

  const Config before = loaded();
  write(".config/similis/config.toml", text);
  const Config commented = loaded();
  write(".config/similis/config.toml", active);
  const Config uncommented = loaded();
  for (const Key& key : all_keys()) {
    EXPECT_EQ(value_of(commented, key.name), value_of(before, key.name)) << key.name;
    EXPECT_EQ(source_of(commented, key.name), "default") << key.name;
    EXPECT_EQ(value_of(uncommented, key.name), value_of(before, key.name)) << key.name;
    EXPECT_THAT(source_of(uncommented, key.name), HasSubstr("config.toml:")) << key.name;
  }
}

TEST_F(ConfigTest, ShownValuesReadBack) {
  const Config config = loaded();
  for (const Key& key : all_keys()) {
    Settings other = config.settings();
    const std::string shown = shown_value(key, other);
    EXPECT_TRUE(set_from_text(key, other, shown, "").ok()) << key.name << " = " << shown;
    EXPECT_EQ(shown_value(key, other), shown) << key.name;
  }
}

TEST_F(ConfigTest, SecretsAreMasked) {
  Key secret = *find_key("model.name");
  secret.secret = true;
  Settings settings;
  settings.model.name = "hunter2";
  EXPECT_EQ(shown_value(secret, settings), "********");
  EXPECT_THAT(toml_value(secret, settings), testing::Not(HasSubstr("hunter2")));
  settings.model.name = "";
  EXPECT_EQ(shown_value(secret, settings), "");
}

}  // namespace
}  // namespace similis
