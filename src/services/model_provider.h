#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "inference/embedder.h"

namespace similis {

/// Which models there are, and the embedder of one. Loading takes a while: an implementation keeps
/// what it loaded.
class ModelProvider {
 public:
  virtual ~ModelProvider() = default;

  struct Listed {
    std::string name;
    std::string version;
    std::string licence;
    std::string source;
    std::int32_t dimensions = 0;
    std::int32_t input_width = 0;
    std::int32_t input_height = 0;
    std::int64_t bytes = 0;
    bool is_default = false;
    bool loaded = false;
    std::string identity;
    std::string folder;
    std::string problem;  // why it cannot be used; "" when it can
  };

  /// The embedder of "name" or "name@version"; "" is the configured default. not_found names the
  /// nearest model.
  virtual Result<std::shared_ptr<Embedder>> load(std::string_view name) = 0;
  /// The embedder whose ModelInfo::identity is this; not_found says which model is missing.
  virtual Result<std::shared_ptr<Embedder>> load_identity(std::string_view identity,
                                                          std::string_view name) = 0;
  virtual Result<std::vector<Listed>> list() = 0;
  /// Reads the files of every model and compares them with their hashes: what is wrong, in words;
  /// empty when all is well.
  virtual Result<std::vector<std::string>> verify() = 0;
};

}  // namespace similis
